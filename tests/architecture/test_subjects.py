"""Subjects are what permissions and streams are made of: unique, well-formed, and covered by exactly one stream."""

import re

import pytest

from udckit import subjects

EVENT_SUBJECTS = {
    name: value
    for name, value in vars(subjects).items()
    if name.isupper() and isinstance(value, str) and value.startswith(f"{subjects.PREFIX}.")
}


def test_no_two_names_mean_the_same_subject() -> None:
    assert len(set(EVENT_SUBJECTS.values())) == len(EVENT_SUBJECTS)


@pytest.mark.parametrize("subject", EVENT_SUBJECTS.values())
def test_a_subject_is_entity_and_past_tense(subject: str) -> None:
    assert re.fullmatch(r"udc\.events\.v1\.[a-z]+\.[a-z_]+", subject)
    assert subject.endswith("ed")


def test_routing_tokens_are_the_last_two() -> None:
    assert subjects.job_dispatched("cpu", "urgent") == "udc.events.v1.job.dispatched.cpu.urgent"


def test_a_dead_letter_keeps_its_subject_outside_of_the_event_stream() -> None:
    dead = subjects.dead_letter(subjects.JOB_FAILED)

    assert dead == "dlq.udc.events.v1.job.failed"
    assert not dead.startswith(subjects.PREFIX)
