"""What a vendor may write, and what a vendor is told who wrote something else."""

from pathlib import Path

import pytest

from udcmodel.manifest import Manifest, ManifestError, parse

DEVICES = Path(__file__).parents[3] / "examples" / "devices"
TEXT = (DEVICES / "cxr-opacity" / "manifest.yaml").read_text(encoding="utf-8")
VOLUME_TEXT = (DEVICES / "ct-brain-hyperdensity" / "manifest.yaml").read_text(encoding="utf-8")
LABELS_ON_THE_IMAGE = "  - {name: MASK, kind: labels, datatype: UINT8, shape: like-input, input: cxr}"
BOXES_ON_THE_VOLUME = "  - {name: BOX, kind: boxes, datatype: FP32, shape: [1, 4], input: ct}"


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
        ("{output: PROBABILITY, index: 0}", "{output: PROBABILITY, index: 1}", "index: 1", "the output has 1, counted"),
        ("{output: BOX, index: 0}", "{output: BOX, index: 1}", "index: 1}", "there is no box 1; the output has 1"),
        ("threshold: 0.5", "threshold: 1.5", "threshold: 1.5", "less than or equal to 1"),
        ("threshold: 0.5", "threshold: -0.1", "threshold: -0.1", "greater than or equal to 0"),
        ("    box: {output: BOX, index: 0}\n", "", "name: BOX", "no finding is read from 'BOX'"),
        ("outputs:\n", f"outputs:\n{LABELS_ON_THE_IMAGE}\n", "name: MASK", "labels are read on a volume"),
        ("cardinality: one", "cardinality: each", "name: cxr", "`cardinality: each` needs `at_most`"),
        ("cardinality: one", "cardinality: one\n    at_most: 3", "name: cxr", "`cardinality: each` needs `at_most`"),
    ],
)
def test_a_mistake_is_named_with_its_line(old: str, new: str, at: str, words: str) -> None:
    assert old in TEXT
    broken = TEXT.replace(old, new)

    with pytest.raises(ManifestError) as caught:
        parse(broken.encode())

    assert f"line {line_of(broken, at)}: " in caught.value.message
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("old", "new", "at", "words"),
    [
        ("outputs:\n", f"outputs:\n{BOXES_ON_THE_VOLUME}\n", "name: BOX", "boxes are read on an image"),
        ("  components: 16 ", "  # ", "per: component", "`per: component` needs `limits.components`"),
        ("  components: 16 ", "  components: 257 ", "components: 257", "less than or equal to 256"),
    ],
)
def test_a_mistake_of_a_device_that_reads_volumes_is_named_with_its_line(
    old: str, new: str, at: str, words: str
) -> None:
    assert old in VOLUME_TEXT
    broken = VOLUME_TEXT.replace(old, new)

    with pytest.raises(ManifestError) as caught:
        parse(broken.encode())

    assert f"line {line_of(broken, at)}: " in caught.value.message
    assert words in caught.value.message


def test_each_stack_is_an_input_up_to_a_number() -> None:
    manifest = parse(TEXT.replace("cardinality: one", "cardinality: each\n    at_most: 3").encode())

    assert manifest.inputs[0].at_most == 3


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
        (b"a: 1\nb: x\0y\n", "line 2: the character U+0000 is not allowed"),
        (b'a: 1\nb: "x\\0y"\n', "line 2: the character U+0000 is not allowed"),
        (b"a: 1\nb: !!python/object:os.system x\n", "line 2: this is not YAML: could not determine a constructor"),
        (b"a: 1\nb: !ours x\n", "line 2: this is not YAML: could not determine a constructor"),
        (b"a: 1\nb: 2026-13-45\n", "line 2: this is not YAML: this is no timestamp"),
        (b"a: 1\nb: 2026-01-01T25:00:00\n", "line 2: this is not YAML: this is no timestamp"),
        (b"a: 1\nb: !!timestamp soon\n", "line 2: this is not YAML: this is no timestamp"),
        (b"a: 1\nb: [1, !!int many]\n", "line 2: this is not YAML: this is no int"),
        (b"a: 1\nb: " + b"9" * 5000, "line 2: this is not YAML: this is no int"),
        (b"a: 1\nb: !!bool perhaps\n", "line 2: this is not YAML: this is no bool"),
        (b"a: 1\n? [b, c]\n: d\n", "this is not YAML: found unhashable key"),
    ],
)
def test_what_is_no_manifest_is_refused_with_a_sentence(content: bytes, words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(content)

    assert words in caught.value.message
