"""Of a study with many series a device gets the right one, and every other series is told why not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    CTImageStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from study_router.adapters.cel import CelCompiler
from study_router.domain.facts import study_age, study_facts
from study_router.domain.matching import Decision, Insufficient, Matched, NotEligible, compile_rules, decide
from study_router.domain.stacks import Stack, build_stacks
from udcmodel.manifest import parse
from udcphantom.companions import all_companions
from udcphantom.ct import ct_series
from udcphantom.enhanced import render_enhanced_ct
from udcphantom.geometry import Geometry, PatientPosition, Steps, evenly, in_groups, scan, upright
from udcphantom.header import SeriesHeader, StudyContext, new_image
from udcphantom.heads import head
from udcphantom.mr import render_mr
from udcphantom.study import Series
from unit.study_router.keyobjects import REJECTED_FOR_QUALITY, rejection_note
from unit.study_router.phantoms import seen, stored
from unit.study_router.test_matching import study_of

MANIFEST: Final = parse(
    (Path(__file__).parents[3] / "examples/devices/ct-brain-hyperdensity/manifest.yaml").read_bytes()
)
CONTEXT: Final = StudyContext(seed=5)
THICK: Final = evenly(30, spacing=5.0)
THIN: Final = evenly(75, spacing=2.0)
NOT_A_HEAD: Final = 'not selected, false is stack.body_part in ["HEAD", "BRAIN", "SKULL"]'
NOT_AXIAL: Final = 'not selected, false is stack.orientation == "AXIAL"'
PREFERRED_KERNEL: Final = "preferred by stack.kernel_class == 'SOFT' ? 1.0 : 0.0: 1 instead of "
PREFERRED_LENGTH: Final = "preferred by double(stack.frame_count): "


def placed(steps: Steps, *, tilt_deg: float = 0.0, above_mm: float = 0.0) -> Geometry:
    """Lay small planes: what decides is in headers, not in pixels."""
    x, y, z = 4.0, -13.0, 37.0 + above_mm
    return scan(steps, rows=8, columns=8, pixel_mm=(28.8, 28.8), tilt_deg=tilt_deg, centre=(x, y, z))


def volume(
    number: int,
    geometry: Geometry,
    *,
    kernel: str = "SOFT",
    image_type: str = "ORIGINAL\\PRIMARY\\AXIAL",
    **said: object,
) -> list[Dataset]:
    """Make a CT series; ``said`` are attributes of every image."""
    header = SeriesHeader(role="series", number=number, modality="CT", description=f"Голова {number}")
    series = ct_series(CONTEXT, head(), geometry, header=header, image_type=image_type.split("\\"))
    return edited(datasets(series), ConvolutionKernel=kernel, **said)


def enhanced(number: int, *, phases: int = 1) -> list[Dataset]:
    """Make one multi-frame image; its phases follow each other through all places."""
    [dataset] = render_enhanced_ct(head(), placed(evenly(phases * 20, spacing=5.0))).datasets()
    frames = dataset.PerFrameFunctionalGroupsSequence
    for index, frame in enumerate(frames):
        frame.PlanePositionSequence = frames[index % 20].PlanePositionSequence
        frame.FrameContentSequence[0].TemporalPositionIndex = index // 20 + 1
    return edited([dataset], SeriesNumber=number, SeriesInstanceUID=CONTEXT.uid("enhanced", number))


def other_object(number: int, modality: str, sop_class: str) -> list[Dataset]:
    """Make something of somebody else that is no image."""
    header = SeriesHeader(role="foreign", number=number, modality=modality, description="Чужой объект")
    return [new_image(CONTEXT, header, sop_class=sop_class, number=1)]


def screen(number: int, sop_class: str = SecondaryCaptureImageStorage, **said: object) -> list[Dataset]:
    """Make a picture of a screen, which lies nowhere in the patient."""
    header = SeriesHeader(role="screen", number=number, modality="CT", description="Снимок экрана")
    dataset = new_image(CONTEXT, header, sop_class=sop_class, number=1)
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.Rows = dataset.Columns = 8
    return edited([dataset], **said)


def datasets(*series: Series) -> list[Dataset]:
    return [instance.read() for one in series for instance in one.instances]


def edited(images: list[Dataset], **said: object) -> list[Dataset]:
    for image in images:
        for keyword, value in said.items():
            setattr(image, keyword, value)
    return images


def each(images: list[Dataset], change: Callable[[int, Dataset], None]) -> list[Dataset]:
    for index, image in enumerate(images):
        change(index, image)
    return images


def acquired(images: list[Dataset], *, count: int) -> list[Dataset]:
    """Number the images' acquisitions: the first ``count`` belong to the first one."""

    def change(index: int, image: Dataset) -> None:
        image.AcquisitionNumber = index // count + 1
        image.AcquisitionTime = f"1016{index // count:02d}"
        image.InstanceNumber = index + 1
        image.SOPInstanceUID = CONTEXT.uid("acquired", image.SeriesNumber, index)

    return each(images, change)


def made_from(images: list[Dataset]) -> list[Dataset]:
    """Say that the images were made from others (PS3.3 C.7.6.1.1.2)."""
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = CTImageStorage, "2.25.1"
    return edited(images, SourceImageSequence=[source])


def without_place(images: list[Dataset]) -> list[Dataset]:
    for image in images:
        del image.ImagePositionPatient, image.ImageOrientationPatient
    return images


def rejecting(number: int, images: list[Dataset]) -> list[Dataset]:
    """Add the note of a reader who rejects a series."""
    rejected = [image for image in images if image.SeriesNumber == number]
    return [*images, rejection_note(rejected, title=REJECTED_FOR_QUALITY)]


def magnetic_resonance() -> list[Dataset]:
    [series] = render_mr(head(), placed(THIN)).series
    return edited(datasets(series), SeriesNumber=6)


def companions() -> list[Dataset]:
    return datasets(*all_companions(CONTEXT, head()))


@dataclass(frozen=True)
class Case:
    """What is sent, and what a person who looks at it expects.

    Attributes:
        images: Makes the study's objects.
        chosen: Series number and number of images of the stack to take; None where none can be.
        told: For every other stack its series number and words of the reason.
        facts: Fields of the headers of the chosen stack.
        verdict: What the decision must be.
    """

    images: Callable[[], list[Dataset]]
    chosen: tuple[int, int] | None
    told: tuple[tuple[int, str], ...] = ()
    facts: tuple[tuple[str, object], ...] = ()
    verdict: type[Matched | NotEligible | Insufficient] = Matched


CASES: Final[Mapping[str, Case]] = {
    "everything a scanner sends": Case(
        lambda: [*volume(2, placed(THICK)), *volume(3, placed(THICK), kernel="BONE"), *companions()],
        (2, 30),
        (
            (3, PREFERRED_KERNEL + "0"),
            (1, "excluded as LOCALIZER"),
            (301, "excluded as REFORMATTED"),
            *((20, "excluded as BOLUS_MONITORING"),) * 4,
            (997, "excluded as DOSE"),
            (998, "excluded as DERIVED_OBJECT"),
        ),
    ),
    "thick and thin": Case(
        lambda: [*volume(2, placed(THICK)), *volume(3, placed(THIN))],
        (3, 75),
        ((2, PREFERRED_LENGTH + "75 instead of 30"),),
    ),
    "thin bone, thick soft": Case(
        lambda: [*volume(2, placed(THIN), kernel="BONE"), *volume(3, placed(THICK))],
        (3, 30),
        ((2, PREFERRED_KERNEL + "0"),),
    ),
    "kernels of a vendor": Case(
        lambda: [*volume(2, placed(THIN), kernel="H70h"), *volume(3, placed(THICK), kernel="H31s")],
        (3, 30),
        ((2, PREFERRED_KERNEL + "0"),),
    ),
    "a lung kernel": Case(
        lambda: [*volume(2, placed(THIN), kernel="LUNG"), *volume(3, placed(THICK))],
        (3, 30),
        ((2, PREFERRED_KERNEL + "0"),),
    ),
    "a kernel nobody knows": Case(
        lambda: [*volume(2, placed(THIN), kernel="XYZZY"), *volume(3, placed(THICK))],
        (3, 30),
        ((2, PREFERRED_KERNEL + "unknown"),),
    ),
    "what a department calls its series where the scanner names no kernel": Case(
        lambda: [
            *volume(2, placed(THICK), kernel="", SeriesDescription="Голова мягкотканная 5.0"),
            *volume(3, placed(THIN), kernel="", SeriesDescription="BONE 1.0"),
            *volume(4, placed(THIN), kernel="", SeriesDescription="Голова кость 1.0"),
            *volume(5, placed(THIN), kernel="", SeriesDescription="Head 1.0"),
        ],
        (2, 30),
        (
            (3, PREFERRED_KERNEL + "0"),
            (4, PREFERRED_KERNEL + "0"),
            (5, PREFERRED_KERNEL + "unknown"),
        ),
    ),
    "a kernel is believed before the name of its series": Case(
        lambda: [
            *volume(2, placed(THICK), SeriesDescription="Голова 5.0"),
            *volume(3, placed(THIN), kernel="H70h", SeriesDescription="Head soft 1.0"),
        ],
        (2, 30),
        ((3, PREFERRED_KERNEL + "0"),),
    ),
    "localizers by name only": Case(
        lambda: [
            *volume(1, upright([0.0], rows=8, columns=8), SeriesDescription="Топограмма"),
            *volume(4, upright([0.0], rows=8, columns=8), SeriesDescription="Scout"),
            *volume(5, placed(evenly(1, spacing=5.0)), SeriesDescription="Topogram 0.6 T20f"),
            *volume(2, placed(THICK)),
        ],
        (2, 30),
        ((1, "excluded as LOCALIZER"), (4, "excluded as LOCALIZER"), (5, "excluded as LOCALIZER")),
    ),
    "reformats by name only": Case(
        lambda: [
            *volume(2, placed(THICK)),
            *volume(3, placed(THIN), image_type="DERIVED\\PRIMARY\\AXIAL", SeriesDescription="MPR ax 2.0"),
            *volume(4, placed(THIN), image_type="DERIVED\\PRIMARY\\AXIAL", SeriesDescription="Голова МПР"),
            *volume(5, placed(THIN), image_type="DERIVED\\SECONDARY\\3D", SeriesDescription="3D"),
        ],
        (2, 30),
        ((3, "excluded as REFORMATTED"), (4, "excluded as REFORMATTED"), (5, "excluded as REFORMATTED")),
    ),
    "thin slices made for reformats are slices": Case(
        lambda: [
            *volume(2, placed(THICK)),
            *volume(3, placed(THIN), SeriesDescription="Голова 1.0 для MPR и 3D"),
        ],
        (3, 75),
        ((2, PREFERRED_LENGTH + "75 instead of 30"),),
    ),
    "sheets of the dose by any name": Case(
        lambda: [
            *volume(2, placed(THICK)),
            *screen(501, SeriesDescription="Dose Report", ImageType=["DERIVED", "SECONDARY"]),
            *screen(502, SeriesDescription="Отчёт о дозе", ImageType=["ORIGINAL", "PRIMARY"]),
            *screen(999, SeriesDescription="Screen Save", ImageType=["ORIGINAL", "PRIMARY", "SCREEN SAVE"]),
        ],
        (2, 30),
        ((501, "excluded as DOSE"), (502, "excluded as DOSE"), (999, "excluded as DOSE")),
    ),
    "a native scan and two phases of contrast": Case(
        lambda: [
            *volume(2, placed(THICK), SeriesDescription="Голова натив", ContrastBolusAgent=""),
            *acquired(
                [
                    *volume(3, placed(THICK), SeriesDescription="КТА", ContrastBolusAgent="Омнипак 350"),
                    *volume(3, placed(THICK), SeriesDescription="КТА", ContrastBolusAgent="Омнипак 350"),
                ],
                count=30,
            ),
        ],
        (2, 30),
        ((3, "series 2 (CT, HEAD, 30 images) is as good and was scanned first"),) * 2,
    ),
    "sequential scanning in two blocks": Case(
        lambda: acquired(volume(2, placed(in_groups((16, 2.5), (16, 7.5)))), count=1),
        (2, 32),
    ),
    "sequential scanning made twice because the patient moved": Case(
        lambda: acquired([*volume(2, placed(THICK)), *volume(2, placed(THICK))], count=1),
        (2, 30),
        ((2, "is as good and was scanned first"),),
    ),
    "slices that lie nowhere beside a volume": Case(
        lambda: [*volume(2, placed(THICK)), *without_place(volume(3, placed(THIN)))],
        (2, 30),
        ((3, "none of 75 images has Image Position and Orientation (Patient)"),),
    ),
    "a reader rejected the better series": Case(
        lambda: rejecting(3, [*volume(2, placed(THICK)), *volume(3, placed(THIN))]),
        (2, 30),
        (
            (3, "excluded as REJECTED: Rejected for Quality Reasons, says the note in series 900"),
            (900, "excluded as DERIVED_OBJECT"),
        ),
    ),
    "only a bone kernel": Case(lambda: volume(2, placed(THICK), kernel="BONE"), (2, 30)),
    "maximum intensity projections": Case(
        lambda: [
            *volume(2, placed(THICK)),
            *volume(3, placed(THIN), image_type="DERIVED\\SECONDARY\\AXIAL\\MIP"),
        ],
        (2, 30),
        ((3, "excluded as REFORMATTED"),),
    ),
    "axial reformats": Case(
        lambda: [*volume(2, placed(THICK)), *volume(3, placed(THIN), image_type="DERIVED\\PRIMARY\\MPR")],
        (2, 30),
        ((3, "excluded as REFORMATTED"),),
    ),
    "coronal images called original": Case(
        lambda: [
            *volume(2, placed(THICK)),
            *volume(3, upright([float(y) for y in range(-60, 60, 3)], rows=8, columns=8)),
        ],
        (2, 30),
        ((3, NOT_AXIAL),),
    ),
    "two phases in one series": Case(
        lambda: acquired(
            [
                *volume(2, placed(THICK), TemporalPositionIdentifier=1),
                *volume(2, placed(THICK), TemporalPositionIdentifier=2),
            ],
            count=30,
        ),
        (2, 30),
        ((2, "is as good and was scanned first"),),
        (("temporal_position", 1),),
    ),
    "two acquisitions of one place in one series": Case(
        lambda: acquired([*volume(2, placed(THICK)), *volume(2, placed(THICK))], count=30),
        (2, 30),
        ((2, "is as good and was scanned first"),),
        (("acquisition_number", 1),),
    ),
    "a scan repeated in part": Case(
        lambda: acquired([*volume(2, placed(THICK)), *volume(2, placed(evenly(8, spacing=5.0)))], count=30),
        (2, 30),
        ((2, "the frames cover 40.0 mm, less than 60"),),
        (("acquisition_number", 1),),
    ),
    "two energies in one series": Case(
        lambda: acquired([*volume(2, placed(THICK), KVP=80), *volume(2, placed(THICK), KVP=140)], count=30),
        (2, 30),
        ((2, "is as good and was scanned first"),),
        (("kvp", 80.0),),
    ),
    "two places far apart in one series": Case(
        lambda: acquired([*volume(2, placed(THICK)), *volume(2, placed(THICK, above_mm=-400.0))], count=30),
        None,
        ((2, "frames are missing in 1 places"),),
        verdict=Insufficient,
    ),
    "head and neck": Case(
        lambda: [*volume(2, placed(THICK)), *volume(3, placed(THIN, above_mm=-200.0), BodyPartExamined="NECK")],
        (2, 30),
        ((3, NOT_A_HEAD),),
    ),
    "head after chest": Case(
        lambda: [
            *volume(2, placed(THIN), BodyPartExamined="THORAX"),
            *volume(3, placed(THICK)),
        ],
        (3, 30),
        ((2, NOT_A_HEAD),),
    ),
    "nobody wrote the body part": Case(
        lambda: [*volume(2, placed(THICK)), *volume(3, placed(THIN), BodyPartExamined="")],
        (2, 30),
        ((3, "stack.body_part is unknown"),),
    ),
    "magnetic resonance beside it": Case(
        lambda: [*volume(2, placed(THICK)), *magnetic_resonance()],
        (2, 30),
        ((6, 'not selected, false is stack.modality == "CT"'),),
    ),
    "text burned in": Case(
        lambda: [*volume(2, placed(THICK)), *volume(3, placed(THIN), BurnedInAnnotation="YES")],
        (2, 30),
        ((3, "excluded as BURNED_IN"),),
    ),
    "secondary captures of slices": Case(
        lambda: [
            *volume(2, placed(THICK)),
            *volume(3, placed(THIN), SOPClassUID=SecondaryCaptureImageStorage),
            *volume(4, placed(THIN), image_type="DERIVED\\SECONDARY\\AXIAL"),
        ],
        (2, 30),
        ((3, "excluded as SECONDARY"), (4, "excluded as SECONDARY")),
    ),
    "screens": Case(
        lambda: [
            *volume(2, placed(THICK)),
            *screen(3),
            *screen(4, ImageType=["ORIGINAL", "PRIMARY"], SeriesDescription="Dose Report"),
            *screen(5, ImageType=["ORIGINAL", "PRIMARY"], SeriesDescription="Patient Protocol"),
        ],
        (2, 30),
        ((3, "excluded as SECONDARY"), (4, "excluded as DOSE"), (5, "excluded as DOSE")),
    ),
    "images of another device": Case(
        lambda: [
            *volume(2, placed(THICK)),
            *made_from(volume(3, placed(THIN), image_type="DERIVED\\PRIMARY\\AXIAL")),
            *volume(4, placed(THIN), image_type="DERIVED\\PRIMARY\\AXIAL", PhotometricInterpretation="RGB"),
        ],
        (2, 30),
        ((3, "excluded as DERIVED_IMAGE"), (4, "excluded as COLOUR")),
    ),
    "an iterative reconstruction is an image of the scanner": Case(
        lambda: volume(2, placed(THICK), image_type="DERIVED\\PRIMARY\\AXIAL"), (2, 30)
    ),
    "results and marks of others": Case(
        lambda: [
            *volume(2, placed(THICK)),
            *other_object(801, "SR", BasicTextSRStorage),
            *other_object(802, "SEG", SegmentationStorage),
            *other_object(803, "PR", GrayscaleSoftcopyPresentationStateStorage),
            *other_object(804, "KO", KeyObjectSelectionDocumentStorage),
        ],
        (2, 30),
        tuple((number, "excluded as DERIVED_OBJECT") for number in (801, 802, 803, 804)),
    ),
    "bolus monitoring by another name": Case(
        lambda: [*volume(2, placed(THICK)), *volume(3, placed(evenly(1, spacing=5.0)), ProtocolName="SmartPrep")],
        (2, 30),
        ((3, "excluded as BOLUS_MONITORING"),),
    ),
    "a localizer inside the series": Case(
        lambda: [
            *volume(2, placed(THICK)),
            *volume(2, upright([0.0], rows=8, columns=8), image_type="ORIGINAL\\PRIMARY\\LOCALIZER"),
        ],
        (2, 30),
        ((2, "excluded as LOCALIZER"),),
    ),
    "petrous bones with more images than the head": Case(
        lambda: [*volume(2, placed(THICK)), *volume(3, placed(evenly(60, spacing=0.6)))],
        (2, 30),
        ((3, "the frames cover 36.0 mm, less than 60"),),
    ),
    "a series with a hole": Case(
        lambda: [*volume(2, placed(THIN).without(40)), *volume(3, placed(THICK))],
        (3, 30),
        ((2, "frames are missing in 1 places: neighbours are up to 4.00 mm apart, usually 2.00"),),
    ),
    "slices too far apart": Case(
        lambda: [*volume(2, placed(evenly(12, spacing=12.0))), *volume(3, placed(evenly(10, spacing=10.0)))],
        (3, 10),
        ((2, "planes are 12.00 mm apart, more than 10"),),
    ),
    "a tilt no device was tested with": Case(
        lambda: [*volume(2, placed(THIN, tilt_deg=35.0)), *volume(3, placed(THICK, tilt_deg=20.0))],
        (3, 30),
        ((2, "planes are tilted by 35.0 degrees, more than 30"),),
    ),
    "two thicknesses": Case(
        lambda: [*volume(2, placed(in_groups((16, 2.5), (16, 7.5)))), *volume(3, placed(THICK))],
        (2, 32),
        ((3, PREFERRED_LENGTH + "32 instead of 30"),),
    ),
    "the scan made again": Case(
        lambda: [*volume(5, placed(THICK)), *volume(4, placed(THICK))],
        (4, 30),
        ((5, "series 4 (CT, HEAD, 30 images) is as good and was scanned first"),),
    ),
    "a multi-frame image": Case(lambda: enhanced(2), (2, 20)),
    "a multi-frame image beside thin bone": Case(
        lambda: [*volume(3, placed(THIN), kernel="BONE"), *enhanced(2)],
        (2, 20),
        ((3, PREFERRED_KERNEL + "0"),),
    ),
    "two phases in a multi-frame image": Case(
        lambda: enhanced(2, phases=2),
        (2, 20),
        ((2, "is as good and was scanned first"),),
        (("temporal_position", 1),),
    ),
    "frames that lie nowhere": Case(
        lambda: [
            *volume(2, placed(THICK)),
            *screen(
                3,
                MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
                ImageType=["ORIGINAL", "PRIMARY"],
                NumberOfFrames=40,
            ),
            *edited(volume(4, placed(evenly(1, spacing=5.0))), NumberOfFrames=40),
        ],
        (2, 30),
        ((3, "excluded as SECONDARY"), (4, "excluded as MULTI_FRAME")),
    ),
    "nothing but companions": Case(
        companions,
        None,
        (
            (1, "excluded as LOCALIZER"),
            (301, "excluded as REFORMATTED"),
            *((20, "excluded as BOLUS_MONITORING"),) * 4,
            (997, "excluded as DOSE"),
            (998, "excluded as DERIVED_OBJECT"),
        ),
        verdict=NotEligible,
    ),
}


def decided(images: list[Dataset]) -> tuple[Decision, tuple[Stack, ...]]:
    stacks = build_stacks(stored(seen(images)), study_instance_uid="1.2", archives=["hospital"])
    study = study_of("axial")
    rules = compile_rules(MANIFEST, rule="", compiler=CelCompiler())
    facts = study_facts(study, stacks)
    return decide(rules, study=facts, age_why=study_age(study).why, stacks=stacks), stacks


@pytest.mark.parametrize("name", CASES)
def test_the_right_stack_is_chosen_and_every_other_is_told_why_not(name: str) -> None:
    case = CASES[name]
    images = case.images()
    decision, stacks = decided(images)

    assert isinstance(decision.verdict, case.verdict), decision.notes
    taken = [item.stack for item in decision.verdict.chosen] if isinstance(decision.verdict, Matched) else []
    assert [(stack.first.series_number, len(stack.headers)) for stack in taken] == (
        [case.chosen] if case.chosen else []
    )
    for field, value in case.facts:
        assert {getattr(header, field) for header in taken[0].headers} == {value}
    untold = list(decision.notes)
    assert len(untold) == len(stacks)
    if case.chosen:
        untold.remove(
            next(note for note in untold if f"series {case.chosen[0]} (" in note and note.endswith(": chosen"))
        )
    for number, words in case.told:
        note = next((note for note in untold if note.startswith(f"ct: series {number} (") and words in note), None)
        assert note, f"series {number}: {words!r} is not among {untold}"
        untold.remove(note)
    assert untold == []
    assert {int(image.SeriesNumber) for image in images} == {stack.first.series_number for stack in stacks}


@pytest.mark.parametrize(
    "name", ["everything a scanner sends", "two phases in one series", "two energies in one series"]
)
def test_the_choice_is_the_same_in_whatever_order_the_objects_came(name: str) -> None:
    images = CASES[name].images()
    one, _ = decided(images)
    other, _ = decided(images[::-1])
    assert isinstance(one.verdict, Matched)
    assert isinstance(other.verdict, Matched)
    assert one.verdict.chosen == other.verdict.chosen


def test_a_patient_who_lies_otherwise_changes_nothing() -> None:
    geometry = scan(THICK, rows=8, columns=8, pixel_mm=(28.8, 28.8), patient_position=PatientPosition.FEET_FIRST_PRONE)
    decision, _ = decided(volume(2, geometry))
    assert isinstance(decision.verdict, Matched)
