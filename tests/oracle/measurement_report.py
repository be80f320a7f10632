"""TID 1500 Measurement Report and what it includes, row by row from PS3.16 Annex A.

All templates here are extensible. ``M`` rows have ``least=1``; ``MC`` rows that exclude each other are checked
where the template is chosen, in ``check_measurement_report``.
"""

from typing import Final

from oracle.content import Code, Item
from oracle.rows import Row, from_scheme, one_of, violations_below

MEASUREMENT_GROUP: Final = Code("125007", "DCM", "Measurement Group")
TRACKING_IDENTIFIER: Final = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UID: Final = Code("112040", "DCM", "Tracking Unique Identifier")
REFERENCED_SEGMENT: Final = Code("121191", "DCM", "Referenced Segment")
REFERENCED_SEGMENTATION_FRAME: Final = Code("121214", "DCM", "Referenced Segmentation Frame")
IMAGE_REGION: Final = Code("111030", "DCM", "Image Region")
VOLUME_SURFACE: Final = Code("121231", "DCM", "Volume Surface")
SOURCE_IMAGE: Final = Code("121233", "DCM", "Source image for segmentation")
SOURCE_SERIES: Final = Code("121232", "DCM", "Source series for segmentation")
REGION_IN_SPACE: Final = Code("130488", "DCM", "Region in Space")
IMAGING_MEASUREMENTS: Final = Code("126010", "DCM", "Imaging Measurements")
DERIVED_MEASUREMENTS: Final = Code("126011", "DCM", "Derived Imaging Measurements")
QUALITATIVE_EVALUATIONS: Final = Code("C0034375", "UMLS", "Qualitative Evaluations")
OBSERVER_TYPE: Final = Code("121005", "DCM", "Observer Type")
DEVICE: Final = Code("121007", "DCM", "Device")
PERSON: Final = Code("121006", "DCM", "Person")
ALGORITHM_NAME: Final = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_VERSION: Final = Code("111003", "DCM", "Algorithm Version")

TITLES: Final = tuple(
    Code(value, "DCM", meaning)
    for value, meaning in (
        ("126000", "Imaging Measurement Report"),
        ("126001", "Oncology Measurement Report"),
        ("126002", "Dynamic Contrast MR Measurement Report"),
        ("126003", "PET Measurement Report"),
    )
)
"""CID 7021 Measurement Report Document Title."""

LATERALITIES: Final = tuple(
    Code(value, "SCT", meaning)
    for value, meaning in (
        ("7771000", "Left"),
        ("24028007", "Right"),
        ("51440002", "Bilateral"),
        ("66459002", "Unilateral"),
    )
)
"""CID 244 Laterality."""

MOD, CONTEXT, CONTAINS = "HAS CONCEPT MOD", "HAS OBS CONTEXT", "CONTAINS"

LANGUAGE: Final = Row(
    label="TID 1204 row 1 Language of Content Item and Descendants",
    relationship=MOD,
    value_types=("CODE",),
    names=(Code("121049", "DCM"),),
    least=1,
    check=from_scheme("RFC5646", "RFC3066"),
    rows=(
        Row(
            label="TID 1204 row 2 Country of Language",
            relationship=MOD,
            value_types=("CODE",),
            names=(Code("121046", "DCM"),),
        ),
    ),
)

PERSON_OBSERVER: Final = (
    Row(
        label="TID 1003 row 1 Person Observer Name",
        relationship=CONTEXT,
        value_types=("PNAME",),
        names=(Code("121008", "DCM"),),
        least=1,
        most=None,
    ),
)


def _device_row(number: int, value: str, meaning: str, value_type: str = "TEXT", least: int = 0) -> Row:
    return Row(
        label=f"TID 1004 row {number} {meaning}",
        relationship=CONTEXT,
        value_types=(value_type,),
        names=(Code(value, "DCM", meaning),),
        least=least,
        most=None,  # one per device; several devices may observe
    )


DEVICE_OBSERVER: Final = (
    _device_row(1, "121012", "Device Observer UID", "UIDREF", least=1),
    _device_row(2, "121013", "Device Observer Name"),
    _device_row(3, "121014", "Device Observer Manufacturer"),
    _device_row(4, "121015", "Device Observer Model Name"),
    _device_row(5, "121016", "Device Observer Serial Number"),
    _device_row(6, "121017", "Device Observer Physical Location During Observation"),
)


def _text_row(label: str, value: str, *, least: int = 0, most: int | None = 1) -> Row:
    return Row(
        label=label, relationship=MOD, value_types=("TEXT",), names=(Code(value, "DCM"),), least=least, most=most
    )


def algorithm_rows(*, required: bool) -> tuple[Row, ...]:
    """Give the rows of TID 4019; once it is included, name and version are mandatory."""
    least = 1 if required else 0
    return (
        _text_row("TID 4019 row 1 Algorithm Name", "111001", least=least),
        _text_row("TID 4019 row 2 Algorithm Version", "111003", least=least),
        _text_row("TID 4019 row 3 Algorithm Parameters", "111002", most=None),
        _text_row("TID 4019 row 4 Algorithm Manufacturer", "122405"),
        Row(
            label="TID 4019 row 5 Algorithm Family",
            relationship=MOD,
            value_types=("CODE",),
            names=(Code("111000", "DCM"),),
        ),
    )


def _site_rows(template: str, first: int) -> tuple[Row, ...]:
    return (
        Row(
            label=f"{template} row {first} Finding Site",
            relationship=MOD,
            value_types=("CODE",),
            names=(Code("363698007", "SCT"),),
            most=None,
            rows=(
                Row(
                    label=f"{template} row {first + 1} Laterality",
                    relationship=MOD,
                    value_types=("CODE",),
                    names=(Code("272741003", "SCT"),),
                    check=one_of(*LATERALITIES),
                ),
                Row(
                    label=f"{template} row {first + 2} Topographical modifier",
                    relationship=MOD,
                    value_types=("CODE",),
                    names=(Code("106233006", "SCT"),),
                ),
            ),
        ),
    )


def _method_row(label: str) -> Row:
    return Row(label=label, relationship=MOD, value_types=("CODE",), names=(Code("370129005", "SCT"),))


def _measurement_row(template: str, number: int, *, least: int = 0) -> Row:
    return Row(
        label=f"{template} row {number} measurement",
        relationship=CONTAINS,
        value_types=("NUM",),
        least=least,
        most=None,
        rows=(
            _method_row(f"{template} Measurement Method of a measurement"),
            Row(
                label=f"{template} Derivation of a measurement",
                relationship=MOD,
                value_types=("CODE",),
                names=(Code("121401", "DCM"),),
            ),
            *_site_rows(f"{template} (of a measurement)", 9),
            *algorithm_rows(required=False),
        ),
    )


def _tracked(template: str) -> tuple[Row, ...]:
    """Give the rows with which TID 1410, 1411 and 1501 all begin."""
    return (
        Row(
            label=f"{template} row 1b Activity Session",
            relationship=CONTEXT,
            value_types=("TEXT",),
            names=(Code("C67447", "NCIt"),),
        ),
        Row(
            label=f"{template} row 2 Tracking Identifier",
            relationship=CONTEXT,
            value_types=("TEXT",),
            names=(TRACKING_IDENTIFIER,),
            least=1,
        ),
        Row(
            label=f"{template} row 3 Tracking Unique Identifier",
            relationship=CONTEXT,
            value_types=("UIDREF",),
            names=(TRACKING_UID,),
            least=1,
        ),
        Row(
            label=f"{template} row 3a Finding Category",
            relationship=CONTAINS,
            value_types=("CODE",),
            names=(Code("276214006", "SCT"),),
        ),
        Row(
            label=f"{template} row 3b Finding",
            relationship=CONTAINS,
            value_types=("CODE",),
            names=(Code("121071", "DCM"),),
        ),
        Row(
            label="TID 1502 row 3 Time Point",
            relationship=CONTEXT,
            value_types=("TEXT",),
            names=(Code("C2348792", "UMLS"),),
        ),
    )


def _evaluations(template: str) -> tuple[Row, ...]:
    return (
        Row(
            label=f"{template} qualitative evaluation",
            relationship=CONTAINS,
            value_types=("CODE", "TEXT"),
            most=None,
        ),
    )


def _source_rows(template: str) -> tuple[Row, ...]:
    return (
        Row(
            label=f"{template} Source image for segmentation",
            relationship=CONTAINS,
            value_types=("IMAGE",),
            names=(SOURCE_IMAGE,),
            most=None,
        ),
        Row(
            label=f"{template} row 12 Source series for segmentation",
            relationship=CONTAINS,
            value_types=("UIDREF",),
            names=(SOURCE_SERIES,),
        ),
    )


def _region_row(template: str, *, most: int | None, spatial: bool) -> Row:
    selected = Row(
        label=f"{template} image from which the region is selected",
        relationship="SELECTED FROM",
        value_types=("IMAGE",),
        least=1,
    )
    return Row(
        label=f"{template} Image Region",
        relationship=CONTAINS,
        value_types=("SCOORD3D",) if spatial else ("SCOORD",),
        names=(IMAGE_REGION,),
        most=most,
        rows=() if spatial else (selected,),
    )


def _segment_row(template: str, name: Code) -> Row:
    return Row(label=f"{template} {name.meaning}", relationship=CONTAINS, value_types=("IMAGE",), names=(name,))


VOLUMETRIC: Final = (
    *_tracked("TID 1411"),
    _segment_row("TID 1411 row 7", REFERENCED_SEGMENT),
    _region_row("TID 1411", most=None, spatial=False),
    Row(
        label="TID 1411 Volume Surface",
        relationship=CONTAINS,
        value_types=("SCOORD3D",),
        names=(VOLUME_SURFACE,),
    ),
    *_source_rows("TID 1411"),
    _method_row("TID 1419 row 1 Measurement Method"),
    *_site_rows("TID 1419", 2),
    _measurement_row("TID 1419", 5),
    *_evaluations("TID 1411"),
)

PLANAR: Final = (
    *_tracked("TID 1410"),
    _segment_row("TID 1410", REFERENCED_SEGMENTATION_FRAME),
    _region_row("TID 1410", most=1, spatial=False),
    _region_row("TID 1410", most=1, spatial=True),
    *_source_rows("TID 1410"),
    _method_row("TID 1419 row 1 Measurement Method"),
    *_site_rows("TID 1419", 2),
    _measurement_row("TID 1419", 5),
    *_evaluations("TID 1410"),
)

PLAIN: Final = (
    *_tracked("TID 1501"),
    _method_row("TID 1501 row 5 Measurement Method"),
    *_site_rows("TID 1501", 6),
    _measurement_row("TID 300", 1),
    *_evaluations("TID 1501"),
)

ROOT: Final = (
    LANGUAGE,
    Row(
        label="TID 1002 row 1 Observer Type",
        relationship=CONTEXT,
        value_types=("CODE",),
        names=(OBSERVER_TYPE,),
        most=None,
        check=one_of(PERSON, DEVICE),
    ),
    Row(
        label="TID 1500 row 4 Procedure reported",
        relationship=MOD,
        value_types=("CODE",),
        names=(Code("121058", "DCM"),),
        least=1,
        most=None,
    ),
    Row(
        label="TID 1500 row 5 Image Library (TID 1600)",
        relationship=CONTAINS,
        value_types=("CONTAINER",),
        names=(Code("111028", "DCM"),),
    ),
    Row(
        label="TID 1500 row 6 Imaging Measurements",
        relationship=CONTAINS,
        value_types=("CONTAINER",),
        names=(IMAGING_MEASUREMENTS,),
        rows=(
            Row(
                label="TID 1500 rows 7 to 9 Measurement Group",
                relationship=CONTAINS,
                value_types=("CONTAINER",),
                names=(MEASUREMENT_GROUP,),
                most=None,
            ),
        ),
    ),
    Row(
        label="TID 1500 row 10 Derived Imaging Measurements",
        relationship=CONTAINS,
        value_types=("CONTAINER",),
        names=(DERIVED_MEASUREMENTS,),
    ),
    Row(
        label="TID 1500 row 12 Qualitative Evaluations",
        relationship=CONTAINS,
        value_types=("CONTAINER",),
        names=(QUALITATIVE_EVALUATIONS,),
        rows=_evaluations("TID 1500 rows 13 and 14"),
    ),
)
"""The rows of TID 1500 and of the templates it includes at its first level; observers follow by their type."""


def groups_of(root: Item) -> list[Item]:
    """List the measurement groups of a report."""
    return [
        child
        for container in root.named(IMAGING_MEASUREMENTS)
        for child in container.children
        if child.name == MEASUREMENT_GROUP and child.value_type == "CONTAINER"
    ]


def check_root(root: Item) -> list[str]:
    """Hold a report against TID 1500, 1204, 1001 and 1002 to 1004; its groups are checked elsewhere."""
    violations = []
    if root.value_type != "CONTAINER" or root.name not in TITLES:
        violations.append(f"TID 1500 row 1: the root is {root.value_type} {root.name}, not a title of CID 7021")
    if root.template != "1500":
        violations.append(f"TID 1500 row 1: the root names template {root.template!r}, not 1500")
    violations += violations_below(root, ROOT, where="TID 1500")
    if not any(root.named(name) for name in (IMAGING_MEASUREMENTS, DERIVED_MEASUREMENTS, QUALITATIVE_EVALUATIONS)):
        violations.append("TID 1500 rows 6, 10, 12: the report has none of the three containers")
    return violations + _observer_violations(root)


def _observer_violations(root: Item) -> list[str]:
    """Check that every kind of observer named is described, and that there is one at all (TID 1001, 1002)."""
    kinds = {item.code for item in root.named(OBSERVER_TYPE)}
    names = {child.name for child in root.children}
    described_person = bool(names & {name for row in PERSON_OBSERVER for name in row.names})
    described_device = bool(names & {name for row in DEVICE_OBSERVER for name in row.names})
    violations = []
    if DEVICE in kinds or described_device:
        violations += violations_below(root, DEVICE_OBSERVER, where="TID 1004")
        if DEVICE not in kinds:
            violations.append("TID 1002 row 1 Observer Type: a device is described but no observer is a device")
    if PERSON in kinds or described_person or (not kinds and not described_device):
        violations += violations_below(root, PERSON_OBSERVER, where="TID 1003")
    return violations
