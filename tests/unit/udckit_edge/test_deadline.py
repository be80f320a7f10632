from udckit import deadline


def test_outside_of_a_call_there_is_no_limit() -> None:
    assert deadline.remaining() is None
    assert deadline.within(30.0) == 30.0


def test_a_step_may_not_outlive_the_call_it_serves() -> None:
    with deadline.allowing(2.0):
        assert 1.8 < deadline.within(30.0) < 2.0
        assert deadline.within(0.5) == 0.5
    assert deadline.remaining() is None


def test_when_the_time_is_over_nothing_is_left() -> None:
    with deadline.allowing(-1.0):
        assert deadline.remaining() == 0.0
        assert deadline.within(5.0) == 0.0


def test_a_stream_without_a_deadline_sets_no_limit() -> None:
    with deadline.allowing(None):
        assert deadline.remaining() is None
