"""Who may run, as a table of everything that can be wrong."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from udcmodel.grant import (
    AttachmentRecord,
    Certificate,
    DeviceVersionRecord,
    Grant,
    Refusal,
    check_grant,
)
from udcmodel.vocabulary import Mode

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)

GRANT = Grant(
    job="j", device="d", version="1.0.0", attachment="a", attachment_revision=3, organisation="1.2.643.1",
    mode=Mode.LIVE, manifest_digest="sha256:m", model_digest="sha256:w", input_digests=("sha256:i",),
    valid_until=NOON + DAY,
)  # fmt: skip
CERTIFICATE = Certificate(
    number="РЗН 2023/12345", valid_from=NOON - DAY, valid_until=NOON + DAY, versions=("1.0.0",), holder="h",
    source="file", checked_at=NOON,
)  # fmt: skip
DEVICE = DeviceVersionRecord(
    device="d", version="1.0.0", manifest_digest="sha256:m", model_digest="sha256:w", is_medical_device=True,
    is_suspended=False, suspension_reason="", certificate=CERTIFICATE,
)  # fmt: skip
ATTACHMENT = AttachmentRecord(
    attachment="a", revision=3, device="d", version="1.0.0", mode=Mode.LIVE, is_suspended=False, organisations=(),
)  # fmt: skip


def test_what_is_authorised_may_run() -> None:
    assert check_grant(GRANT, device=DEVICE, attachment=ATTACHMENT, now=NOON) is None


@pytest.mark.parametrize(
    ("grant", "device", "attachment", "refusal"),
    [
        (GRANT, None, ATTACHMENT, Refusal.DEVICE_UNKNOWN),
        (GRANT, DEVICE, None, Refusal.ATTACHMENT_UNKNOWN),
        (replace(GRANT, valid_until=NOON), DEVICE, ATTACHMENT, Refusal.GRANT_EXPIRED),
        (GRANT, replace(DEVICE, is_suspended=True), ATTACHMENT, Refusal.DEVICE_SUSPENDED),
        (GRANT, replace(DEVICE, model_digest="sha256:x"), ATTACHMENT, Refusal.CONTENT_CHANGED),
        (GRANT, replace(DEVICE, manifest_digest="sha256:x"), ATTACHMENT, Refusal.CONTENT_CHANGED),
        (GRANT, DEVICE, replace(ATTACHMENT, is_suspended=True), Refusal.ATTACHMENT_SUSPENDED),
        (GRANT, DEVICE, replace(ATTACHMENT, revision=4), Refusal.ATTACHMENT_CHANGED),
        (GRANT, DEVICE, replace(ATTACHMENT, mode=Mode.PILOT), Refusal.ATTACHMENT_CHANGED),
        (GRANT, DEVICE, replace(ATTACHMENT, organisations=("1.2.643.2",)), Refusal.ORGANISATION_NOT_COVERED),
        (GRANT, replace(DEVICE, is_medical_device=False), ATTACHMENT, Refusal.NOT_A_MEDICAL_DEVICE),
        (GRANT, replace(DEVICE, certificate=None), ATTACHMENT, Refusal.NO_CERTIFICATE),
        (
            GRANT,
            replace(DEVICE, certificate=replace(CERTIFICATE, valid_from=NOON + timedelta(seconds=1))),
            ATTACHMENT,
            Refusal.CERTIFICATE_NOT_YET_VALID,
        ),
        (
            GRANT,
            replace(DEVICE, certificate=replace(CERTIFICATE, valid_until=NOON)),
            ATTACHMENT,
            Refusal.CERTIFICATE_EXPIRED,
        ),
        (
            GRANT,
            replace(DEVICE, certificate=replace(CERTIFICATE, versions=("0.9.0",))),
            ATTACHMENT,
            Refusal.VERSION_NOT_COVERED,
        ),
    ],
)
def test_anything_else_is_refused_by_name(
    grant: Grant, device: DeviceVersionRecord | None, attachment: AttachmentRecord | None, refusal: Refusal
) -> None:
    refused = check_grant(grant, device=device, attachment=attachment, now=NOON)

    assert refused is not None
    assert refused.refusal is refusal


@pytest.mark.parametrize("device", [replace(DEVICE, certificate=None), replace(DEVICE, is_medical_device=False)])
def test_shadow_mode_needs_no_certificate(device: DeviceVersionRecord) -> None:
    grant, attachment = replace(GRANT, mode=Mode.SHADOW), replace(ATTACHMENT, mode=Mode.SHADOW)

    assert check_grant(grant, device=device, attachment=attachment, now=NOON) is None


def test_a_certificate_without_end_stays_valid() -> None:
    device = replace(DEVICE, certificate=replace(CERTIFICATE, valid_until=None))
    grant = replace(GRANT, valid_until=NOON + 4000 * DAY)

    assert check_grant(grant, device=device, attachment=ATTACHMENT, now=NOON + 3000 * DAY) is None
