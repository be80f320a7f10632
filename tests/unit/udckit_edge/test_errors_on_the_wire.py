import importlib
import pkgutil
from collections.abc import Iterator

import grpc
import pytest

import udckit
from udckit.errors import Kind, ServiceError
from udckit.grpc_errors import ERROR_OF, LOG_LEVEL_OF, STATUS_OF

# Written by hand from the table in the contract.
EXPECTED = {
    "INVALID": "INVALID_ARGUMENT",
    "NOT_FOUND": "NOT_FOUND",
    "PRECONDITION": "FAILED_PRECONDITION",
    "CONFLICT": "ABORTED",
    "OVERLOADED": "RESOURCE_EXHAUSTED",
    "UNAVAILABLE": "UNAVAILABLE",
    "TIMED_OUT": "DEADLINE_EXCEEDED",
    "UNAUTHENTICATED": "UNAUTHENTICATED",
    "DENIED": "PERMISSION_DENIED",
    "INTERNAL": "INTERNAL",
}


def classes(root: type[ServiceError]) -> Iterator[type[ServiceError]]:
    yield root
    for child in root.__subclasses__():
        yield from classes(child)


def test_every_kind_has_its_status() -> None:
    assert {kind.value: STATUS_OF[kind].name for kind in Kind} == EXPECTED
    assert set(LOG_LEVEL_OF) == set(Kind)


def test_every_status_but_success_becomes_an_error() -> None:
    assert set(ERROR_OF) == set(grpc.StatusCode) - {grpc.StatusCode.OK}


def test_a_kind_that_was_sent_comes_back_as_the_same_kind() -> None:
    assert {kind: ERROR_OF[STATUS_OF[kind]].kind for kind in Kind} == {kind: kind for kind in Kind}


@pytest.mark.parametrize("error", list(classes(ServiceError)))
def test_every_reason_is_upper_case(error: type[ServiceError]) -> None:
    assert error.reason.replace("_", "").isalnum()
    assert error.reason == error.reason.upper()


def test_no_two_errors_have_the_same_reason() -> None:
    for module in pkgutil.walk_packages(udckit.__path__, "udckit."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    ours = [error for error in classes(ServiceError) if error.__module__.startswith("udckit")]
    reasons = [error.reason for error in ours]

    assert sorted(reasons) == sorted(set(reasons))
