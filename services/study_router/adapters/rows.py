"""Values of the domain as JSON columns, and back."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row

from study_router.domain.instances import Frame, Header
from study_router.domain.work import Ending, JobInput
from udcmodel.grant import Certificate, Grant
from udcmodel.vocabulary import ErrorCategory, InputKind, Mode

_CHUNK: Final = 500
_DEFAULTS: Final = {field.name: field.default for field in fields(Header)}
_FRAME_DEFAULTS: Final = {field.name: field.default for field in fields(Frame)}
_TUPLES: Final = frozenset({"image_type", "rejects", "position", "row_direction", "column_direction", "pixel_spacing"})


def grant_to_json(grant: Grant) -> dict[str, Any]:
    """Return a grant as plain values."""
    return {**asdict(grant), "mode": grant.mode.value, "valid_until": grant.valid_until.isoformat()}


def grant_from_json(value: Mapping[str, Any]) -> Grant:
    """Undo ``grant_to_json``."""
    return Grant(
        **{
            **value,
            "mode": Mode(value["mode"]),
            "input_digests": tuple(value["input_digests"]),
            "valid_until": datetime.fromisoformat(value["valid_until"]),
        }
    )


def inputs_to_json(inputs: Sequence[JobInput]) -> list[dict[str, str]]:
    """Return the inputs of a job as plain values."""
    return [
        {"name": item.name, "kind": item.kind.value, "digest": item.digest, "archive": item.archive} for item in inputs
    ]


def inputs_from_json(value: Sequence[Mapping[str, str]]) -> tuple[JobInput, ...]:
    """Undo ``inputs_to_json``."""
    return tuple(
        JobInput(name=item["name"], kind=InputKind(item["kind"]), digest=item["digest"], archive=item["archive"])
        for item in value
    )


def certificate_to_json(certificate: Certificate | None) -> dict[str, Any] | None:
    """Return a certificate as plain values."""
    if certificate is None:
        return None
    return {
        **asdict(certificate),
        "valid_from": certificate.valid_from.isoformat(),
        "valid_until": None if certificate.valid_until is None else certificate.valid_until.isoformat(),
        "checked_at": certificate.checked_at.isoformat(),
    }


def certificate_from_json(value: Mapping[str, Any] | None) -> Certificate | None:
    """Undo ``certificate_to_json``."""
    if value is None:
        return None
    return Certificate(
        **{
            **value,
            "versions": tuple(value["versions"]),
            "valid_from": datetime.fromisoformat(value["valid_from"]),
            "valid_until": None if value["valid_until"] is None else datetime.fromisoformat(value["valid_until"]),
            "checked_at": datetime.fromisoformat(value["checked_at"]),
        }
    )


def header_to_json(header: Header) -> dict[str, Any]:
    """Return a header as plain values; what has its default is left out, because there are millions of rows."""
    return _plain(header, _DEFAULTS)


def header_from_json(value: Mapping[str, Any]) -> Header:
    """Undo ``header_to_json``."""
    frames = tuple(Frame(**_with_tuples(frame)) for frame in value.get("frames", ()))
    return Header(**{**_with_tuples(value), "frames": frames})


def _plain(part: Header | Frame, defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: [_plain(item, _FRAME_DEFAULTS) if isinstance(item, Frame) else item for item in value]
        if isinstance(value, tuple)
        else value
        for name, default in defaults.items()
        if (value := getattr(part, name)) != default
    }


def _with_tuples(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(item) if name in _TUPLES else item for name, item in value.items()}


def ending_from(row: Row[Any]) -> Ending:
    """Return the ending that the columns ``reason``, ``detail``, ``category`` hold."""
    return Ending(reason=row.reason, detail=row.detail, category=ErrorCategory[row.category] if row.category else None)


def chunks(values: Collection[str]) -> Iterator[list[str]]:
    """Yield ``values`` in pieces that fit into one statement; databases limit the number of parameters."""
    ordered = list(values)
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]
