"""What rules may ask about a study and its stacks. A fact that is not known is absent, never guessed."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from study_router.domain.ages import Age, age_at_study, age_band
from study_router.domain.instances import SLICES, Header, Told
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

GEOMETRY_FACTS: Final = frozenset({"orientation", "slice_spacing_mm", "coverage_mm", "tilt_deg"})
"""Facts of a stack that come from where its images lie: without positions none of them is known."""


_KERNELS_IN_WORDS: Final[Mapping[str, re.Pattern[str]]] = {
    "LUNG": re.compile(r"\blung|л[её]гочн", re.IGNORECASE),
    "BONE": re.compile(r"\bbone|костн|\bкости?\b|\bкость\b", re.IGNORECASE),
    "SOFT": re.compile(r"\bsoft|\bstandard|мягк|\bстандарт", re.IGNORECASE),
}
"""What departments call the kernels of a scanner that does not send their names."""

_NO_AGENT: Final = re.compile(
    r"NO|NONE|NO CONTRAST|NON[- ]?CONTRAST|NATIVE|WITHOUT( CONTRAST)?|W/O( CONTRAST)?|"
    r"НЕТ|НАТИВ(НО|НАЯ|НОЕ)?|БЕЗ (КОНТРАСТА|КОНТРАСТИРОВАНИЯ|КОНТРАСТНОГО УСИЛЕНИЯ|КУ)"
)
_NO_STATEMENT: Final = re.compile(r"[-?.]+|N/?A|UNKNOWN|НЕИЗВЕСТНО|НЕ УКАЗАНО")


def kernel_class(kernel: str) -> str:
    """Return ``SOFT``, ``BONE`` or ``LUNG``; empty for a kernel that is not known."""
    name = kernel.strip().upper().split("\\", maxsplit=1)[0]
    return next((label for pattern, label in _KERNELS if pattern.search(name)), "") if name else ""


def _kernel(header: Header) -> Told | None:
    """Return the class of the Convolution Kernel (0018,1210); where that says nothing, what the series is called."""
    of_kernel = kernel_class(header.kernel)
    if of_kernel:
        return Told("kernel_class", header.kernel, of_kernel)
    said = [label for label, words in _KERNELS_IN_WORDS.items() if words.search(header.series_description)]
    return Told("kernel_class", header.series_description, said[0], "series description") if len(said) == 1 else None


def _contrast(header: Header) -> Told | None:
    """Return whether a contrast medium was given, by Contrast/Bolus Agent (0018,0010).

    By the letter of the standard neither an absent nor an empty attribute is a statement: it is of Type 2 in a module
    (PS3.3 C.7.6.4) that is required only if contrast was used. Empty would mean "used, agent unknown", and absent "not
    used"; but scanners write it empty into every image, and people who give contrast do not enter it. Both leave the
    fact unknown. What is written there instead of an agent, as NONE or БЕЗ КОНТРАСТА, does say that none was given.
    """
    text = " ".join(header.contrast_agent.upper().split())
    if not text or _NO_STATEMENT.fullmatch(text):
        return None
    return Told("has_contrast", header.contrast_agent, _NO_AGENT.fullmatch(text) is None)


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
        "procedure": (order or code, order or code),
    }
    known = {name: Told(name, raw, value) for name, (raw, value) in sent.items() if value}
    if order:
        known["procedure"] = Told("procedure", order, order, "order")
    read = (_kernel(header), _contrast(header), *header.told)
    return known | {told.name: told for told in read if told is not None}


def _term(raw: str, terms: Mapping[str, str]) -> str:
    text = " ".join(raw.upper().split())
    return terms.get(text, text)


def stack_facts(stack: Stack) -> dict[str, Any]:
    """Return what rules see as ``stack``; unknown facts are absent."""
    header, geometry = stack.common, stack.geometry
    is_placed = geometry.normal is not None
    is_view = not is_placed and header.modality not in SLICES
    known: dict[str, Value | None] = {
        **{name: told.value for name, told in known_facts(header).items()},
        "orientation": geometry.orientation.value if is_placed or is_view else None,
        "series_number": header.series_number,
        "description": header.series_description or None,
        "protocol": header.protocol or None,
        "image_type": list(header.image_type),
        "frame_count": len(stack.headers),
        "rows": header.rows,
        "columns": header.columns,
        "slice_thickness_mm": header.slice_thickness,
        "slice_spacing_mm": geometry.spacing_mm,
        "coverage_mm": geometry.coverage_mm if is_placed else None,
        "tilt_deg": geometry.tilt_deg if is_placed else None,
        "kernel": header.kernel or None,
        "kvp": header.kvp,
        "echo_time_ms": header.echo_time,
        "b_value": header.b_value,
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
                "excluded_why": stack.exclusion_why,
                "facts": stack_facts(stack),
                "profile": stack.first.profile,
                "known": [asdict(told) for told in known_facts(stack.common).values()],
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
