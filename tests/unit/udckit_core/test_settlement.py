"""Every kind of error has a settlement, and the table says what the operators' handbook says."""

from udckit.consumer import SETTLEMENT_OF, Settlement
from udckit.errors import Kind


def test_every_kind_is_settled() -> None:
    assert set(SETTLEMENT_OF) == set(Kind)


def test_the_table_written_again_by_hand() -> None:
    assert dict(SETTLEMENT_OF) == {
        Kind.INVALID: Settlement.DEAD_LETTER,
        Kind.NOT_FOUND: Settlement.DEAD_LETTER,
        Kind.PRECONDITION: Settlement.DEAD_LETTER,
        Kind.DENIED: Settlement.DEAD_LETTER,
        Kind.CONFLICT: Settlement.RETRY_SOON,
        Kind.TIMED_OUT: Settlement.RETRY_LATER,
        Kind.INTERNAL: Settlement.RETRY_LATER,
        Kind.UNAUTHENTICATED: Settlement.RETRY_LATER,
        Kind.UNAVAILABLE: Settlement.WAIT,
        Kind.OVERLOADED: Settlement.WAIT,
    }
