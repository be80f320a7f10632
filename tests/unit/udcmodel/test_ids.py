"""The same thing has the same id; different things have different ones."""

import pytest

from udckit.errors import InvalidRequestError
from udcmodel.ids import derive, digest_of, job_id, patient_fingerprint, result_uid, study_id, uid_from


def job(**changes: object) -> str:
    arguments: dict[str, object] = {
        "region": "r77",
        "subject": "studies/1",
        "attachment": "a",
        "input_digests": ["sha256:1", "sha256:2"],
        "configuration": {"version": "1", "model": "m"},
        "run": 1,
        **changes,
    }
    return job_id(**arguments)  # type: ignore[arg-type]  # the test varies one argument at a time


@pytest.mark.parametrize(
    "change",
    [
        {"region": "r78"},
        {"subject": "studies/2"},
        {"attachment": "b"},
        {"input_digests": ["sha256:2", "sha256:1"]},
        {"configuration": {"version": "2", "model": "m"}},
        {"run": 2},
    ],
)
def test_every_part_of_a_job_decides_its_id(change: dict[str, object]) -> None:
    assert job() == job()
    assert job(configuration={"model": "m", "version": "1"}) == job()
    assert job(**change) != job()


def test_a_run_below_one_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="counted from 1"):
        job(run=0)


def test_parts_do_not_collide_by_concatenation() -> None:
    assert derive("a", "bc") != derive("ab", "c")


def test_two_patients_never_share_a_study() -> None:
    first = study_id(region="r77", patient_id="1", issuer="", study_instance_uid="1.2")
    second = study_id(region="r77", patient_id="2", issuer="", study_instance_uid="1.2")

    assert first != second


def test_a_uid_is_valid_dicom() -> None:
    uid = result_uid(study="s", job="j", result_digest="sha256:1", kind="sr", index=0, issue=1)

    assert uid.startswith("2.25.")
    assert len(uid) <= 64
    assert uid == uid_from(derive("object", "s", "j", "sha256:1", "sr", "0", "1"))


def test_a_digest_is_the_published_sha256() -> None:
    # FIPS 180-2, appendix B.1: the message "abc".
    assert digest_of(b"abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_fingerprint_needs_the_key_and_ignores_padding() -> None:
    values = {"patient_id": "123", "issuer": "MIS", "birth_date": "19700101", "sex": "F"}
    padded = {**values, "patient_id": "123 "}

    assert patient_fingerprint(b"k", **values) == patient_fingerprint(b"k", **padded)
    assert patient_fingerprint(b"k", **values) != patient_fingerprint(b"other", **values)
    assert patient_fingerprint(b"k", **values) != patient_fingerprint(b"k", **{**values, "sex": "M"})
