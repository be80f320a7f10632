"""What rules may ask about a study and its stacks. A fact that is not known is absent, never guessed."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from study_router.domain.ages import Age, age_at_study, age_band
from study_router.domain.instances import Header, Told
from study_router.domain.stacks import Stack
from study_router.domain.studies import Study
from study_router.domain.work import SubjectFacts
from udcmodel.ids import digest_of

Value = str | int | float | bool | list[str]
Facts = Mapping[str, Any]


_BODY_PARTS: Final[Mapping[str, str]] = {
    "ГОЛОВА": "HEAD",
    "ГОЛОВНОЙ МОЗГ": "BRAIN",
    "ЧЕРЕП": "SKULL",
    "ГРУДНАЯ КЛЕТКА": "CHEST",
    "ОГК": "CHEST",
    "ГРУДЬ": "CHEST",
    "THORAX": "CHEST",
    "МОЛОЧНАЯ ЖЕЛЕЗА": "BREAST",
    "БРЮШНАЯ ПОЛОСТЬ": "ABDOMEN",
    "ЖИВОТ": "ABDOMEN",
}
"""What operators type in (0018,0015) instead of the defined terms of PS3.16 annex L."""

_VIEWS: Final[Mapping[str, str]] = {"FRONTAL": "PA", "П/З": "PA", "З/П": "AP", "LAT": "LL", "LATERAL": "LL"}

_KERNELS: Final[Sequence[tuple[re.Pattern[str], str]]] = (
    (re.compile(r"LUNG|^FC5\d|^(B|BF|BL|BR)7\d|^I7\d|^YC|^L$"), "LUNG"),
    (re.compile(r"BONE|EDGE|SHARP|^FC3\d|^FC8\d|^(U|H|HR|B|BR|V|J)[6-9]\d|^(D|E|UD|YD)$"), "BONE"),
    (re.compile(r"SOFT|STAND|BRAIN|STND|HEAD|^FC[0-2]\d|^FC6\d|^(H|HR|HC|B|BR|J|QR)[1-5]\d|^(A|B|UA|UB|C)$"), "SOFT"),
)
"""Names of convolution kernels (0018,1210) of the large vendors; the first that matches decides."""

_SLICES: Final = frozenset({"CT", "MR", "PT"})
"""Modalities whose images are slices: without a position their orientation is not known."""


def kernel_class(kernel: str) -> str:
    """Return ``SOFT``, ``BONE`` or ``LUNG``; empty for a kernel that is not known."""
    name = kernel.strip().upper().split("\\", maxsplit=1)[0]
    return next((label for pattern, label in _KERNELS if pattern.search(name)), "") if name else ""


def known_facts(header: Header) -> dict[str, Told]:
    """Return the facts that may be told by somebody else than the header, each with what was sent and who says so.

    An order goes before a sender profile, and that before the header; a fact that nobody knows is absent.
    """
    order, code = header.order_code or header.order_text, header.procedure_code
    sent = {
        "modality": (header.modality, header.modality.upper()),
        "body_part": (header.body_part, _term(header.body_part, _BODY_PARTS)),
        "view": (header.view_position, _term(header.view_position, _VIEWS)),
        "laterality": (header.laterality, header.laterality.upper()),
        "presentation_intent": (header.presentation_intent, header.presentation_intent),
        "kernel_class": (header.kernel, kernel_class(header.kernel)),
        "procedure": (order or code, order or code),
    }
    known = {name: Told(name, raw, value) for name, (raw, value) in sent.items() if value}
    if order:
        known["procedure"] = Told("procedure", order, order, "order")
    return known | {told.name: told for told in header.told}


def _term(raw: str, terms: Mapping[str, str]) -> str:
    text = " ".join(raw.upper().split())
    return terms.get(text, text)


def stack_facts(stack: Stack) -> dict[str, Any]:
    """Return what rules see as ``stack``; unknown facts are absent."""
    header, geometry = stack.first, stack.geometry
    known: dict[str, Value | None] = {
        **{name: told.value for name, told in known_facts(header).items()},
        "orientation": None if header.modality in _SLICES and not header.position else geometry.orientation.value,
        "series_number": header.series_number,
        "description": header.series_description or None,
        "protocol": header.protocol or None,
        "image_type": list(header.image_type),
        "frame_count": len(stack.headers),
        "rows": header.rows,
        "columns": header.columns,
        "slice_thickness_mm": header.slice_thickness,
        "slice_spacing_mm": geometry.spacing_mm,
        "coverage_mm": geometry.coverage_mm,
        "tilt_deg": geometry.tilt_deg,
        "kernel": header.kernel or None,
        "kvp": header.kvp,
        "echo_time_ms": header.echo_time,
        "b_value": header.b_value,
        "has_contrast": bool(header.contrast_agent) if header.contrast_agent else None,
        "manufacturer": header.manufacturer or None,
        "model": header.model or None,
        "photometric": header.photometric or None,
    }
    return {name: value for name, value in known.items() if value is not None}


def study_age(study: Study) -> Age:
    """Return how old the patient was at the study."""
    return age_at_study(birth_date=study.patient.birth_date, study_date=study.study_date, patient_age=study.age)


def study_facts(study: Study, stacks: Sequence[Stack]) -> dict[str, Any]:
    """Return what rules see as ``study``, with all stacks that are not excluded; unknown facts are absent.

    Nothing in it names the patient: what is kept with a decision may be shown to people who look for its reason.
    """
    usable = [stack_facts(stack) for stack in stacks if stack.exclusion is None]
    known: dict[str, Any] = {
        "age_years": study_age(study).years,
        "sex": study.patient.sex.upper() if study.patient.sex.upper() in {"M", "F"} else None,
        "date": study.study_date or None,
        "description": study.description or None,
        "organisation": study.organisation,
        "modalities": sorted({stack["modality"] for stack in usable if "modality" in stack}),
        "body_parts": sorted({stack["body_part"] for stack in usable if "body_part" in stack}),
        "stacks": usable,
    }
    return {name: value for name, value in known.items() if value is not None}


def snapshot_facts(study: Study, stacks: Sequence[Stack]) -> dict[str, Any]:
    """Return everything a decision rests on, as plain values."""
    return {
        "study": study_facts(study, stacks),
        "age_why": study_age(study).why,
        "stacks": [
            {
                "key": stack.key,
                "series_instance_uid": stack.series_instance_uid,
                "archive": stack.archive,
                "excluded": stack.exclusion.value if stack.exclusion else "",
                "facts": stack_facts(stack),
                "profile": stack.first.profile,
                "known": [asdict(told) for told in known_facts(stack.first).values()],
            }
            for stack in stacks
        ],
    }


def digest_of_facts(facts: Facts) -> str:
    """Return the digest of plain values."""
    return digest_of(json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode())


def subject_facts(study: Study, stack: Stack | None) -> SubjectFacts:
    """Return the pseudonymous facts for those who count, with the scanner of ``stack``."""
    sex = study.patient.sex.upper()
    band = age_band(study_age(study).years)
    if stack is None:
        return SubjectFacts(age_band=band, sex=sex)
    return SubjectFacts(
        age_band=band,
        sex=sex,
        modality=stack.first.modality,
        manufacturer=stack.first.manufacturer,
        scanner_model=stack.first.model,
        slice_spacing_mm=stack.geometry.spacing_mm or 0.0,
    )
