import pytest

from udckit.errors import InternalError, UnauthenticatedError
from udckit.security.identity import (
    Identity,
    IdentityKind,
    Service,
    acting_as,
    current_identity,
    parse_service_uri,
    service_identity,
    service_uri,
)


def test_the_uri_of_a_service_names_region_and_service() -> None:
    assert service_uri("r77", Service.STUDY_ROUTER) == "spiffe://udc/r77/study-router"
    assert parse_service_uri("spiffe://udc/r77/study-router") == ("r77", Service.STUDY_ROUTER)


@pytest.mark.parametrize(
    "uri",
    [
        "spiffe://udc/r77/somebody",
        "spiffe://udc/r77",
        "spiffe://udc/r77/",
        "spiffe://udc/r77/study-router/more",
        "spiffe://evil/r77/study-router",
        "https://udc/r77/study-router",
        "r77/study-router",
        "",
    ],
)
def test_any_other_uri_names_nobody(uri: str) -> None:
    with pytest.raises(UnauthenticatedError):
        parse_service_uri(uri)


@pytest.mark.parametrize(
    ("organisations", "asked", "answer"),
    [({"1.2"}, "1.2", True), ({"1.2"}, "1.3", False), ({"1.2"}, "", False), ({"*"}, "1.3", True), (set(), "", False)],
)
def test_a_person_acts_for_the_organisations_named(organisations: set[str], asked: str, answer: bool) -> None:
    person = Identity(kind=IdentityKind.PERSON, name="p-1", region="r77", organisations=frozenset(organisations))

    assert person.may_act_for(asked) is answer


def test_who_acts_is_known_inside_and_nobody_acts_outside() -> None:
    archiver = service_identity("r77", Service.RESULT_ARCHIVER)

    with acting_as(archiver):
        assert current_identity().actor == "service/result-archiver"
    with pytest.raises(InternalError):
        current_identity()
