"""One history with everything in it that is counted."""

from datetime import timedelta

from unit.surveillance_reporter.histories import CLINIC, NOON, History, has_result


def day_in_a_region() -> History:
    """Return what happened to a few studies on two days."""
    history = History()
    for number, verdict in enumerate(("NORMAL", "NORMAL", "PATHOLOGY", "UNDETERMINED")):
        has_result(history, job=f"ct-{number}", verdict=verdict)
        history.ends(study=f"s{number}", job=f"ct-{number}", outcome="ARCHIVED", verdict=verdict)
    # A late image: the second study is done again, and is no longer normal.
    history.ends(study="s1", job="ct-1", outcome="SUPERSEDED", successor="ct-1b")
    has_result(history, job="ct-1b", verdict="PATHOLOGY")
    later = NOON + timedelta(hours=10)
    history.ends(study="s1", job="ct-1b", revision=2, outcome="ARCHIVED", verdict="PATHOLOGY", at=later)
    history.ends(study="s2", attachment="a-cxr", device="cxr-device", outcome="NOT_ELIGIBLE")
    history.ends(study="s3", attachment="a-cxr", device="cxr-device", outcome="REFUSED", organisation=CLINIC)
    history.ends(study="s4", job="ct-4", outcome="FAILED", category="OTHER")
    history.ends(study="s5", job="ct-5", outcome="INSUFFICIENT", category="SERIES")
    return history
