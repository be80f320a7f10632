"""Sender profiles: what a station really sends. Tags lie, and each station lies in its own way.

A profile is data, written by people of the region. It names the senders it is about and says what their tags mean.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from study_router.domain.instances import Header
from udckit.errors import InvalidRequestError
from udcmodel.manifest.schema import Part
from udcmodel.manifest.yaml_source import Kind, parse_as

SCHEMA: Final = "udc.sender/v1alpha1"

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
_TERM: Final = r"^[A-Z0-9][A-Z0-9_ ]{0,15}$"
Term = Annotated[str, Field(pattern=_TERM)]
"""A defined term: value representation CS (PS3.5 6.2)."""
Text = Annotated[str, Field(min_length=1, max_length=64)]
Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]

FACTS: Final = ("modality", "body_part", "view", "laterality", "presentation_intent", "kernel_class")
"""Facts that a profile may speak about."""

_CLOSED: Final[Mapping[str, frozenset[str]]] = {
    "laterality": frozenset({"L", "R", "B", "U"}),
    "presentation_intent": frozenset({"FOR PRESENTATION", "FOR PROCESSING"}),
    "kernel_class": frozenset({"SOFT", "BONE", "LUNG"}),
}
"""Facts of few values: (0020,0062), (0008,0068), and the classes that rules know."""


class SenderProfileError(InvalidRequestError):
    """The profile cannot be used; every problem is listed with its line."""

    reason = "INVALID_SENDER_PROFILE"


class Match(Part):
    """Whose images a profile is about. Every key that is given must hold; of a list any value; case does not matter."""

    archive: tuple[Name, ...] = ()
    """Id of the archive that shows them."""
    ae_title: tuple[Text, ...] = ()
    """Source Application Entity Title (0002,0016), where the archive's metadata give it; DICOMweb need not."""
    station: tuple[Text, ...] = ()
    """Station Name (0008,1010)."""
    institution: tuple[Text, ...] = ()
    """Institution Name (0008,0080)."""
    manufacturer: tuple[Text, ...] = ()
    """Manufacturer (0008,0070)."""
    model: tuple[Text, ...] = ()
    """Manufacturer's Model Name (0008,1090)."""

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if not any(getattr(self, name) for name in type(self).model_fields):
            raise ValueError("match names nobody; give archive, ae_title, station, institution, manufacturer or model")
        return self

    def closeness(self, header: Header, *, archive: str) -> int:
        """Return how many keys hold for an image; 0 where one does not."""
        sent = dict(zip(_SENDER, sender_key(header, archive=archive), strict=True))
        wanted = {name: getattr(self, name) for name in sent if getattr(self, name)}
        if all(_plain(sent[name]) in map(_plain, values) for name, values in wanted.items()):
            return len(wanted)
        return 0


_SENDER: Final = ("archive", "ae_title", "station", "institution", "manufacturer", "model")


def sender_key(header: Header, *, archive: str) -> tuple[str, ...]:
    """Return everything that may tell the sender of an image."""
    return (archive, header.ae_title, header.station, header.institution, header.manufacturer, header.model)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


class Reading(Part):
    """What a fact of these senders is: ``set`` whatever is sent, or ``map`` from what is sent, else ``missing``."""

    set: Text | None = None
    map: Mapping[str, Text] = Field(default_factory=dict, max_length=500)
    missing: Text | None = None
    """The value where nothing is sent."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.set is not None and (self.map or self.missing is not None):
            raise ValueError("set leaves nothing for map and missing to say; give either")
        if self.set is None and not self.map and self.missing is None:
            raise ValueError("this says nothing; give set, map or missing")
        return self

    def of(self, raw: str) -> str | None:
        """Return the value for what is sent, or None where the profile says nothing of it."""
        if self.set is not None:
            return self.set
        if not _plain(raw):
            return self.missing
        return next((value for sent, value in self.map.items() if _plain(sent) == _plain(raw)), None)

    def values(self) -> tuple[str, ...]:
        """Return every value it can give."""
        return tuple(value for value in (self.set, self.missing, *self.map.values()) if value is not None)


class Facts(Part):
    """How facts are read, by name of the fact."""

    modality: Reading | None = None
    body_part: Reading | None = None
    view: Reading | None = None
    laterality: Reading | None = None
    presentation_intent: Reading | None = None
    kernel_class: Reading | None = None

    @model_validator(mode="after")
    def _values_are_terms(self) -> Self:
        for name in FACTS:
            reading: Reading | None = getattr(self, name)
            for value in () if reading is None else reading.values():
                _check_term(name, value)
        return self


class Ordered(Part):
    """What an ordered procedure says about its images."""

    body_part: Term | None = None
    view: Term | None = None
    laterality: Literal["L", "R", "B"] | None = None


class View(Part):
    """One image of a declared set; what is left out does not matter."""

    view: Term
    laterality: Literal["L", "R"] | None = None
    presentation_intent: Literal["FOR PRESENTATION", "FOR PROCESSING"] | None = None

    def __str__(self) -> str:
        return " ".join(part for part in (self.laterality, self.view, self.presentation_intent) if part)


class QuietTimes(Part):
    """How long these senders must be silent, seconds, in place of the settings of the router."""

    input_s: Seconds | None = None
    study_s: Seconds | None = None


class SenderProfile(Part):
    """The schema ``udc.sender/v1alpha1``.

    Attributes:
        profile: Its name.
        match: Whose images it is about.
        charset: How texts of images that declare no character set (0008,0005) are to be read.
        facts: What their tags mean.
        procedures: What an ordered procedure means, by its code or text; an order goes before everything else.
        views: The images of a finished study; none where that is not known.
        quiet: How long they must be silent.
    """

    schema_: Literal["udc.sender/v1alpha1"] = Field(alias="schema")
    profile: Name
    match: Match
    charset: Literal["ISO_IR 144", "ISO_IR 192", "windows-1251", "koi8-r", "cp866"] | None = None
    facts: Facts = Facts()
    procedures: Mapping[Text, Ordered] = Field(default_factory=dict, max_length=500)
    views: tuple[View, ...] = Field(default=(), max_length=32)
    quiet: QuietTimes = QuietTimes()

    def canonical(self) -> str:
        """Return the content as JSON, the same for every way of writing it."""
        return self.model_dump_json(by_alias=True, exclude_defaults=True)

    def ordered(self, *procedures: str) -> tuple[str, Ordered] | None:
        """Return the first of these procedures that is known here, with what it means."""
        for procedure in procedures:
            for written, meaning in self.procedures.items():
                if procedure and _plain(written) == _plain(procedure):
                    return written, meaning
        return None


def _check_term(name: str, value: str) -> None:
    allowed = _CLOSED.get(name)
    if allowed is not None and value not in allowed:
        raise ValueError(f"{name} is one of {', '.join(sorted(allowed))}, not {value}")
    if allowed is None and not re.fullmatch(_TERM, value):
        raise ValueError(f"{name} is a defined term: at most 16 capitals, digits, _ and spaces, not {value}")


_KIND: Final = Kind("sender profile", SCHEMA, SenderProfileError)


def parse_profile(content: bytes) -> SenderProfile:
    """Read a profile.

    Args:
        content: YAML, under the limits of a manifest.

    Raises:
        SenderProfileError: one line per problem, each with the line of the file and the path of the key.
    """
    return parse_as(SenderProfile, content, kind=_KIND)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredProfile:
    """A profile as the region keeps it.

    Attributes:
        organisation: FRMO OID of the organisation whose studies it is about; empty for all of the region.
        revision: Rises with every change of content; never used twice.
        content: The profile.
        source: The file as it was written.
    """

    organisation: str
    revision: int
    content: SenderProfile
    source: str

    def __str__(self) -> str:
        return f"{self.content.profile} r{self.revision}"


def profile_for(header: Header, profiles: Sequence[RegisteredProfile], *, archive: str) -> RegisteredProfile | None:
    """Return the profile of an image's sender: the closest match; between equals that of the organisation itself."""
    ranked = [
        (profile.content.match.closeness(header, archive=archive), bool(profile.organisation), profile)
        for profile in profiles
    ]
    found = [(near, own, profile) for near, own, profile in ranked if near]
    # By name at last, so that the answer never depends on the order of rows.
    best = sorted(found, key=lambda item: (-item[0], not item[1], item[2].content.profile))
    return best[0][2] if best else None
