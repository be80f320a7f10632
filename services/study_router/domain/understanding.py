"""What images are: by what is sent, and by what is known of their senders.

An order goes before a sender's profile, and a profile before the header. Every fact remembers what was sent and who
says what it is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from study_router.domain.instances import Header, InstanceClass, Told
from study_router.domain.sender_profiles import FACTS, RegisteredProfile, profile_for, sender_key
from study_router.domain.studies import StoredInstance

_FIELDS: Final = {
    "modality": "modality",
    "body_part": "body_part",
    "view": "view_position",
    "laterality": "laterality",
    "presentation_intent": "presentation_intent",
    "kernel_class": "kernel",
}
"""Where the header has what a fact is read from."""

_TEXTS: Final = ("series_description", "body_part", "protocol", "contrast_agent", "order_text", "institution")
"""Texts that operators type, and so in their own alphabet."""

_CODECS: Final = {"ISO_IR 144": "iso8859-5", "ISO_IR 192": "utf-8"}
"""Defined terms of (0008,0005) whose codec has another name; the rest are codecs."""


@dataclass(frozen=True, slots=True)
class Understood:
    """Instances with the facts that orders and profiles know better than their headers.

    Attributes:
        instances: All of them.
        profiles: The profile of every sender of source images, None for a sender without one.
    """

    instances: tuple[StoredInstance, ...]
    profiles: tuple[RegisteredProfile | None, ...]


def understood(instances: Iterable[StoredInstance], profiles: Sequence[RegisteredProfile]) -> Understood:
    """Read instances as the profiles of their senders say.

    Args:
        instances: As archives hold them. Only source images are touched: a report says what it is itself.
        profiles: Those of the organisation and of the region.
    """
    # Thousands of images of a study have one sender.
    of_sender: dict[tuple[str, ...], RegisteredProfile | None] = {}
    found: list[StoredInstance] = []
    for item in instances:
        if item.instance_class is not InstanceClass.SOURCE:
            found.append(item)
            continue
        sender = sender_key(item.header, archive=item.archive)
        if sender not in of_sender:
            of_sender[sender] = profile_for(item.header, profiles, archive=item.archive)
        profile = of_sender[sender]
        found.append(item if profile is None else replace(item, header=understand(item.header, profile)))
    return Understood(tuple(found), tuple(of_sender.values()))


def understand(header: Header, profile: RegisteredProfile) -> Header:
    """Return a header with the values of its sender's profile; ``told`` says what came from where."""
    told: list[Told] = []
    if profile.content.charset is not None and not header.charset:
        header = _decoded(header, profile.content.charset)
    changes: dict[str, str] = {}
    ordered = profile.content.ordered(header.order_code, header.order_text)
    for name in FACTS:
        raw: str = getattr(header, _FIELDS[name])
        value, source = None, ""
        if ordered is not None:
            written, meaning = ordered
            value = getattr(meaning, name, None)
            source = f"order {written} as profile {profile} reads it"
        if value is None:
            reading = getattr(profile.content.facts, name)
            value = None if reading is None else reading.of(raw)
            source = f"profile {profile}"
        if value is not None:
            told.append(Told(name, raw, value, source))
            if name != "kernel_class":
                changes[_FIELDS[name]] = value
    return replace(header, **changes, told=tuple(told), profile=str(profile))  # type: ignore[arg-type]  # texts all


def _decoded(header: Header, charset: str) -> Header:
    """Read texts again that an archive took for Latin-1 because no character set was declared."""
    changes = {}
    for name in _TEXTS:
        text: str = getattr(header, name)
        try:
            changes[name] = text.encode("latin-1").decode(_CODECS.get(charset, charset)).strip()
        except (UnicodeEncodeError, UnicodeDecodeError):
            # Not what the profile expects; what the archive made of it stays.
            continue
    return replace(header, **changes)  # type: ignore[arg-type]  # texts all
