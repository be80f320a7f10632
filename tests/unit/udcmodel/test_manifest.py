"""What a vendor may write, and what a vendor is told who wrote something else."""

from pathlib import Path

import pytest

from udcmodel.manifest import Manifest, ManifestError, parse

DEVICES = Path(__file__).parents[3] / "examples" / "devices"
TEXT = (DEVICES / "cxr-opacity" / "manifest.yaml").read_text(encoding="utf-8")


def line_of(text: str, needle: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if needle in line)


@pytest.mark.parametrize("path", sorted(DEVICES.glob("*/manifest.yaml")), ids=lambda path: path.parent.name)
def test_a_reference_device_survives_its_canonical_form(path: Path) -> None:
    manifest = parse(path.read_bytes())

    again = Manifest.from_canonical(manifest.canonical())

    assert again == manifest
    assert again.digest == manifest.digest


def test_comments_and_order_do_not_change_the_digest() -> None:
    body, separator, resources = TEXT.partition("resources:")
    reordered = f"{separator}{resources}\n# a remark\n{body}"

    assert parse(reordered.encode()).digest == parse(TEXT.encode()).digest


@pytest.mark.parametrize(
    ("old", "new", "at", "words"),
    [
        ("prefer:", "preffer:", "preffer:", "this key is not known"),
        ("timeout_s: 60", "timeout_s: -1", "timeout_s: -1", "greater than 0"),
        ("{output: PROBABILITY, index: 0}", "{output: PROB, index: 0}", "output: PROB,", "there is no output 'PROB'"),
        ("{output: BOX, index: 0}", "{output: PROBABILITY, index: 0}", "box: {output", "of kind boxes is needed"),
        ("size: [512, 512]", "size: [512, 7]", "size: [512, 7]", "greater than or equal to 8"),
        ("axes: [batch, channel, y, x]", "axes: [x, y]", "tensor:", "y, x in this order"),
        ("shape: [1, 4]", "shape: [1, 5]", "name: BOX", "last dimension of a box output is 4"),
        ('inn: "7707083893"', 'inn: "77"', "inn:", "match pattern"),
        ("kind: boxes", "kind: boxen", "name: BOX", "does not match any of the expected tags"),
    ],
)
def test_a_mistake_is_named_with_its_line(old: str, new: str, at: str, words: str) -> None:
    assert old in TEXT
    broken = TEXT.replace(old, new)

    with pytest.raises(ManifestError) as caught:
        parse(broken.encode())

    assert f"line {line_of(broken, at)}: " in caught.value.message
    assert words in caught.value.message


def test_every_mistake_is_named_at_once() -> None:
    broken = TEXT.replace("prefer:", "preffer:").replace("timeout_s: 60", "timeout_s: 0")

    with pytest.raises(ManifestError) as caught:
        parse(broken.encode())

    assert caught.value.message.count("\n  line ") == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"- a\n- b\n", "the manifest is a mapping"),
        (b"a: [1", "this is not YAML"),
        (b"a: &x 1\nb: *x\n", "anchors and aliases are not read"),
        (b"schema: udc.manifest/v1alpha1\nschema: udc.manifest/v1alpha1\n", "is written twice (first in line 1)"),
        (b"a: " + b"[" * 60 + b"]" * 60, "nested too deeply"),
        (b"#" * (256 * 1024 + 1), "at most 262144 are read"),
    ],
)
def test_what_is_no_manifest_is_refused_with_a_sentence(content: bytes, words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(content)

    assert words in caught.value.message
