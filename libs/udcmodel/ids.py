"""Derived identities: the same thing has the same id, whoever computes it and however often."""

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Final

from udckit.errors import InvalidRequestError

NAMESPACE: Final = uuid.UUID("f1b4b2f4-1d3a-5c0e-8a3a-9d1e0a7c5d21")
"""UUID namespace of all derived ids of the platform."""

DIGEST_PREFIX: Final = "sha256:"

UID_ROOT: Final = "2.25."
"""Root of UUID-derived UIDs, PS3.5 annex B.2. Own objects are told by the ledger, not by this root."""


def digest_of(content: bytes) -> str:
    """Return the content address of ``content``: ``sha256:`` and 64 hexadecimal digits."""
    return DIGEST_PREFIX + hashlib.sha256(content).hexdigest()


def derive(*parts: str) -> uuid.UUID:
    """Return the UUIDv5 of ``parts``; order matters, and no two lists of parts collide by concatenation."""
    return uuid.uuid5(NAMESPACE, json.dumps(parts, ensure_ascii=True, separators=(",", ":")))


def uid_from(value: uuid.UUID) -> str:
    """Return the DICOM UID of a UUID: ``2.25.`` and the UUID as a decimal number (PS3.5 B.2)."""
    return f"{UID_ROOT}{value.int}"


def study_id(*, region: str, patient_id: str, issuer: str, study_instance_uid: str) -> str:
    """Return the internal id of a study: the same study in two archives is one study.

    Args:
        region: Code of the region.
        patient_id: Patient ID (0010,0020) as the archive gives it.
        issuer: Issuer of Patient ID (0010,0021), or empty.
        study_instance_uid: (0020,000D).
    """
    return str(derive("study", region, patient_id, issuer, study_instance_uid))


def job_id(
    *,
    region: str,
    subject: str,
    attachment: str,
    input_digests: Sequence[str],
    configuration: Mapping[str, str],
    run: int,
) -> str:
    """Return the id of a job: one piece of work, however often it is asked for.

    Args:
        region: Code of the region.
        subject: ``studies/<id>`` or a patient reference.
        attachment: Id of the attachment.
        input_digests: Digests of the inputs, in the order of the manifest.
        configuration: What is pinned: device version, manifest and model digest, rule revision.
        run: 1, and more only by an explicit re-run.

    Raises:
        InvalidRequestError: ``run`` is below 1.
    """
    if run < 1:
        raise InvalidRequestError(f"the run of a job is counted from 1, not {run}")
    pinned = json.dumps(dict(sorted(configuration.items())), separators=(",", ":"))
    return str(derive("job", region, subject, attachment, json.dumps(list(input_digests)), pinned, str(run)))


def result_uid(*, study: str, job: str, result_digest: str, kind: str, index: int, issue: int) -> str:
    """Return the UID of one thing of a result: an object, a series, a tracking UID.

    Args:
        study: Internal id of the study.
        job: Id of the job.
        result_digest: Digest of the accepted result.
        kind: What it identifies, such as ``sr``, ``seg-series``, ``tracking``.
        index: Number among things of this kind, from 0.
        issue: Issue of the result, from 1.
    """
    return uid_from(derive("object", study, job, result_digest, kind, str(index), str(issue)))


def patient_fingerprint(key: bytes, *, patient_id: str, issuer: str, birth_date: str, sex: str) -> str:
    """Return a keyed hash by which two services can agree that it is the same patient without naming them.

    HMAC-SHA-256 over Patient ID (0010,0020), its issuer (0010,0021), birth date (0010,0030) and sex (0010,0040). The
    name is left out: it is often corrected, transliterated, or undecodable.
    """
    text = json.dumps([patient_id.strip(), issuer.strip(), birth_date.strip(), sex.strip()], ensure_ascii=True)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
