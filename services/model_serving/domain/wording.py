"""What the platform says in a result, in the language registered for the device."""

from collections.abc import Mapping
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final, Literal

Language = Literal["ru", "en"]


@unique
class Flag(StrEnum):
    """Something about the input or the answer that a reader of the result should know."""

    TILTED = "TILTED"
    VARIABLE_SPACING = "VARIABLE_SPACING"
    FRAMES_MISSING = "FRAMES_MISSING"
    POSITIONS_REPEATED = "POSITIONS_REPEATED"
    PRESENCE_WITHOUT_MASK = "PRESENCE_WITHOUT_MASK"
    MASK_WITHOUT_PRESENCE = "MASK_WITHOUT_PRESENCE"
    PRESENCE_WITHOUT_BOX = "PRESENCE_WITHOUT_BOX"
    REGIONS_LEFT_OUT = "REGIONS_LEFT_OUT"


@unique
class Phrase(StrEnum):
    """A phrase of the composed texts."""

    FOUND = "FOUND"
    NOT_FOUND = "NOT_FOUND"
    VOLUME = "VOLUME"
    MAX_DIAMETER = "MAX_DIAMETER"
    PROBABILITY = "PROBABILITY"


_FLAGS: Final[Mapping[Language, Mapping[Flag, str]]] = MappingProxyType(
    {
        "ru": {
            Flag.TILTED: "Срезы наклонены на {0}°.",
            Flag.VARIABLE_SPACING: "Расстояние между срезами непостоянно: {0} мм.",
            Flag.FRAMES_MISSING: "В серии недостаёт срезов: разрывов {0}, значения в них интерполированы.",
            Flag.POSITIONS_REPEATED: "Положений с несколькими изображениями: {0}; использовано первое.",
            Flag.PRESENCE_WITHOUT_MASK: "Вероятность выше порога, но область не выделена: {0}.",
            Flag.MASK_WITHOUT_PRESENCE: "Область выделена, но вероятность ниже порога: {0}. Область не показана.",
            Flag.PRESENCE_WITHOUT_BOX: "Вероятность выше порога, но место не указано: {0}.",
            Flag.REGIONS_LEFT_OUT: "Выделено областей: {1}; показаны наибольшие {2}: {0}.",
        },
        "en": {
            Flag.TILTED: "The slices are tilted by {0}°.",
            Flag.VARIABLE_SPACING: "The distance between slices varies: {0} mm.",
            Flag.FRAMES_MISSING: "Slices are missing: {0} gaps, the values in them are interpolated.",
            Flag.POSITIONS_REPEATED: "Positions with several images: {0}; the first was used.",
            Flag.PRESENCE_WITHOUT_MASK: "The probability is above the threshold, but no region is marked: {0}.",
            Flag.MASK_WITHOUT_PRESENCE: "A region is marked, but the probability is below the threshold: {0}. "
            "The region is not shown.",
            Flag.PRESENCE_WITHOUT_BOX: "The probability is above the threshold, but no place is given: {0}.",
            Flag.REGIONS_LEFT_OUT: "{1} regions are marked; the largest {2} are shown: {0}.",
        },
    }
)
_PHRASES: Final[Mapping[Language, Mapping[Phrase, str]]] = MappingProxyType(
    {
        "ru": {
            Phrase.FOUND: "Обнаружено: {0}",
            Phrase.NOT_FOUND: "Целевая патология не выявлена: {0}",
            Phrase.VOLUME: "объём {0} мл",
            Phrase.MAX_DIAMETER: "максимальный диаметр {0} мм",
            Phrase.PROBABILITY: "вероятность {0}",
        },
        "en": {
            Phrase.FOUND: "Found: {0}",
            Phrase.NOT_FOUND: "The target pathology was not found: {0}",
            Phrase.VOLUME: "volume {0} ml",
            Phrase.MAX_DIAMETER: "maximum diameter {0} mm",
            Phrase.PROBABILITY: "probability {0}",
        },
    }
)


def flag_text(flag: Flag, language: Language, *facts: str) -> str:
    """Return the sentence of a flag."""
    return _FLAGS[language][flag].format(*facts)


def phrase(name: Phrase, language: Language, *facts: str) -> str:
    """Return a phrase."""
    return _PHRASES[language][name].format(*facts)


def number(value: float, language: Language, *, decimals: int) -> str:
    """Write a number with the decimal sign of the language."""
    text = f"{value:.{decimals}f}"
    return text.replace(".", ",") if language == "ru" else text
