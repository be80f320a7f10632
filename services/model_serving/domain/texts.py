"""The texts of a result, composed from the vendor's own titles. A negative names what was not found, never "normal"."""

from collections.abc import Sequence
from dataclasses import dataclass

from model_serving.domain.wording import Language, Phrase, number, phrase
from udcmodel.result import Finding, Text, TextKind
from udcmodel.vocabulary import Presence


@dataclass(frozen=True, slots=True)
class Reading:
    """A finding and what it is called in the device's language."""

    title: str
    finding: Finding


def texts_of(readings: Sequence[Reading], language: Language) -> tuple[Text, ...]:
    """Compose the description, one line for each finding, and the conclusion."""
    lines = [_line(reading, language) for reading in readings]
    conclusion = []
    for name, presence in ((Phrase.FOUND, Presence.PRESENT), (Phrase.NOT_FOUND, Presence.ABSENT)):
        titles = [reading.title for reading in readings if reading.finding.presence is presence]
        if titles:
            conclusion.append(phrase(name, language, "; ".join(titles)) + ".")
    return (Text(TextKind.FINDINGS, "\n".join(lines)), Text(TextKind.CONCLUSION, " ".join(conclusion)))


def _line(reading: Reading, language: Language) -> str:
    finding = reading.finding
    is_present = finding.presence is Presence.PRESENT
    parts = [phrase(Phrase.FOUND if is_present else Phrase.NOT_FOUND, language, reading.title)]
    for measurement in finding.measurements:
        name = Phrase.VOLUME if measurement.unit.value == "ml" else Phrase.MAX_DIAMETER
        parts.append(phrase(name, language, number(measurement.value, language, decimals=1)))
    if finding.probability is not None:
        parts.append(phrase(Phrase.PROBABILITY, language, number(finding.probability, language, decimals=2)))
    return ", ".join(parts) + "."
