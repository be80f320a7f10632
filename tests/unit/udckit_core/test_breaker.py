"""A breaker lets one probe through, and waits longer after each that fails."""

from udckit.consumer.breaker import Breaker


def test_it_opens_with_the_first_failure_and_closes_when_a_probe_succeeds() -> None:
    breaker = Breaker("ledger", shortest_s=1, longest_s=8)
    assert not breaker.is_open

    breaker.trip("ARCHIVE_AWAY", by_probe=False)
    assert breaker.is_open
    assert breaker.reason == "ARCHIVE_AWAY"

    breaker.close()
    assert not breaker.is_open


def test_failing_probes_double_the_pause_up_to_the_longest() -> None:
    breaker = Breaker("ledger", shortest_s=1, longest_s=5)
    pauses = []
    breaker.trip("AWAY", by_probe=False)
    for _ in range(4):
        pauses.append(breaker.pause_s)
        breaker.trip("AWAY", by_probe=True)

    assert pauses == [1, 2, 4, 5]


def test_work_that_was_under_way_says_nothing_new() -> None:
    breaker = Breaker("ledger", shortest_s=1, longest_s=8)
    for _ in range(20):
        breaker.trip("AWAY", by_probe=False)

    assert breaker.pause_s == 1


def test_it_begins_with_the_shortest_pause_when_it_opens_again() -> None:
    breaker = Breaker("ledger", shortest_s=1, longest_s=8)
    breaker.trip("AWAY", by_probe=False)
    breaker.trip("AWAY", by_probe=True)
    breaker.close()
    breaker.trip("AWAY", by_probe=False)

    assert breaker.pause_s == 1


async def test_a_probe_is_due_after_the_pause() -> None:
    breaker = Breaker("ledger", shortest_s=0, longest_s=8)
    breaker.trip("AWAY", by_probe=False)

    await breaker.probe_due()
