"""Every call of the platform has exactly one rule, and every rule is about a call that exists."""

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import MethodDescriptor

import udc
from udckit.security.authorization import Rule, Scope, table_of
from udckit.security.identity import Role, Service
from udckit.security.policy import RULES

SERVED_BY_OTHERS = ("udc.device.",)
"""Packages whose services are implemented by vendors' containers and called by us."""


def methods() -> Iterator[tuple[str, MethodDescriptor]]:
    for module in pkgutil.walk_packages(udc.__path__, "udc."):
        if not module.name.endswith("_pb2"):
            continue
        for service in importlib.import_module(module.name).DESCRIPTOR.services_by_name.values():
            if not service.full_name.startswith(SERVED_BY_OTHERS):
                yield from ((f"{service.full_name}/{method.name}", method) for method in service.methods)


METHODS = dict(methods())


def test_the_platform_has_calls() -> None:
    assert "udc.router.v1.JobsService/BeginArchiving" in METHODS


def test_every_call_has_a_rule() -> None:
    assert sorted(METHODS.keys() - table_of(RULES).keys()) == []


def test_every_rule_is_about_a_call_that_exists() -> None:
    assert sorted(table_of(RULES).keys() - METHODS.keys()) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.method)
def test_a_rule_lets_somebody_in_and_never_the_command_line_itself(rule: Rule) -> None:
    assert rule.services or rule.roles
    assert not rule.services & {Service.CLI, Service.NATS, Service.PROVISIONER}


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_request_that_names_an_organisation_is_judged_by_it_and_no_other_is(method: str) -> None:
    rule = table_of(RULES)[method]
    request = METHODS[method]
    names_one = "organisation" in request.input_type.fields_by_name and not request.client_streaming

    assert (rule.scope is Scope.ORGANISATION) == names_one


def test_only_the_archiver_begins_archiving() -> None:
    rule = table_of(RULES)["udc.router.v1.JobsService/BeginArchiving"]

    assert rule.services == {Service.RESULT_ARCHIVER}
    assert not rule.roles


def test_an_auditor_changes_nothing() -> None:
    allowed = {rule.method.partition("/")[2] for rule in RULES if Role.AUDITOR in rule.roles}

    assert {name for name in allowed if not name.startswith(("List", "Get", "Watch", "Explain"))} == set()
