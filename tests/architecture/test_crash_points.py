"""Every place that is named for dying is one at which a fault test lets each service die that passes it.

A new ``crash.point`` that no service is killed at would look like a tested one. The names are read from the source, and
here nothing is imported from it but the vocabulary that one of the names is made of.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.places import PLACES, PLACES_OF_OTHER_WAYS, deaths_at
from result_archiver.domain.objects import ObjectKind
from udckit.security.identity import Service

ROOT = Path(__file__).parents[2]
KINDS = [kind.value.lower() for kind in ObjectKind]

NEEDED_FOR = {"consumer": "consuming(", "database": "opened(", "relay": "announce("}
"""What stands in the source of a service that passes the places of a library."""


def points_in(folder: Path) -> Iterator[str]:
    """Yield the names of the crash points in the modules below ``folder``."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"crash.point", "point"}:
                (name,) = node.args
                yield from names_of(name)


def names_of(name: ast.expr) -> Iterator[str]:
    """Yield what a crash point is called; one that is named after the kind of an object has several names."""
    match name:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), ast.FormattedValue(value=value)]):
            assert "kind" in ast.unparse(value), f"nobody knows which names {ast.unparse(name)} stands for"
            yield from (text + kind for kind in KINDS)
        case _:
            raise AssertionError(f"nobody knows which names {ast.unparse(name)} stands for")


def services() -> dict[Service, Path]:
    """Return the folder of each service process."""
    return {Service(path.parent.name.replace("_", "-")): path.parent for path in ROOT.glob("services/*/app.py")}


def passed_by(folder: Path) -> set[str]:
    """Return every place that the service in ``folder`` can pass: its own, and those of the libraries it uses."""
    source = "".join(path.read_text() for path in folder.rglob("*.py"))
    shared = {name for name in points_in(ROOT / "libs") if NEEDED_FOR[name.partition(".")[0]] in source}
    return shared | set(points_in(folder))


@pytest.mark.parametrize("service", sorted(services()), ids=str)
def test_a_service_is_killed_at_every_place_it_passes(service: Service) -> None:
    assert set(PLACES[service]) == passed_by(services()[service]) - set(PLACES_OF_OTHER_WAYS)


@pytest.mark.parametrize("place", PLACES_OF_OTHER_WAYS)
def test_a_place_of_another_way_is_one_at_which_the_test_named_for_it_kills(place: str) -> None:
    assert place in {name for path in ROOT.glob("services/*") for name in points_in(path)}
    assert f'"{place}"' in (ROOT / "tests" / PLACES_OF_OTHER_WAYS[place]).read_text()


def test_every_service_process_is_killed() -> None:
    assert set(PLACES) == set(services())


def test_at_each_place_it_dies_at_least_three_times() -> None:
    for place in {place for places in PLACES.values() for place in places}:
        assert len(deaths_at(place)) >= 3


def test_a_name_that_nobody_kills_at_is_seen(tmp_path: Path) -> None:
    """The control: a point more in the source makes a difference."""
    (tmp_path / "new.py").write_text('from udckit import crash\n\ncrash.point("router.before_something")\n')

    assert set(points_in(tmp_path)) - set(PLACES[Service.STUDY_ROUTER]) == {"router.before_something"}
