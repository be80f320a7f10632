"""Which facts rules may ask for, and of which type each is."""

from collections.abc import Mapping
from typing import Final

BOOL: Final = "bool"
INT: Final = "int"
DOUBLE: Final = "double"
STRING: Final = "string"
NUMBERS: Final = frozenset({INT, DOUBLE})
STACK: Final = "stack"


def list_of(element: str) -> str:
    """Return the type of a list."""
    return f"list({element})"


STACK_FACTS: Final[Mapping[str, str]] = {
    "modality": STRING,
    "body_part": STRING,
    "view": STRING,
    "laterality": STRING,
    "procedure": STRING,
    "orientation": STRING,
    "series_number": INT,
    "description": STRING,
    "protocol": STRING,
    "image_type": list_of(STRING),
    "frame_count": INT,
    "rows": INT,
    "columns": INT,
    "slice_thickness_mm": DOUBLE,
    "slice_spacing_mm": DOUBLE,
    "coverage_mm": DOUBLE,
    "tilt_deg": DOUBLE,
    "kernel": STRING,
    "kernel_class": STRING,
    "kvp": DOUBLE,
    "echo_time_ms": DOUBLE,
    "b_value": DOUBLE,
    "has_contrast": BOOL,
    "manufacturer": STRING,
    "model": STRING,
    "photometric": STRING,
    "presentation_intent": STRING,
}

STUDY_FACTS: Final[Mapping[str, str]] = {
    "age_years": DOUBLE,
    "sex": STRING,
    "date": STRING,
    "description": STRING,
    "organisation": STRING,
    "modalities": list_of(STRING),
    "body_parts": list_of(STRING),
    "stacks": list_of(STACK),
}

FACTS: Final[Mapping[str, Mapping[str, str]]] = {"study": STUDY_FACTS, STACK: STACK_FACTS}
