"""Series that travel with a head CT and that nobody should analyse: localizer, MPR, bolus monitoring, dose."""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage, XRayRadiationDoseSRStorage

from udcphantom.ct import Kernel, add_noise, ct_series, describe_scan
from udcphantom.encoding import encode, set_pixels
from udcphantom.geometry import evenly, scan, upright
from udcphantom.header import SeriesHeader, StudyContext, clock, new_image, place, position_patient
from udcphantom.pixels import PixelForm
from udcphantom.rendering import render_plane
from udcphantom.scene import Phantom
from udcphantom.study import Instance, Series

LOCALIZER = SeriesHeader(role="localizer", number=1, modality="CT", description="Топограмма")
MPR = SeriesHeader(role="mpr", number=301, modality="CT", description="MPR корональные")
BOLUS = SeriesHeader(role="bolus-monitoring", number=20, modality="CT", description="Болюс-трекинг")
DOSE_SHEET = SeriesHeader(role="dose-sheet", number=997, modality="CT", description="Протокол дозы")
DOSE_REPORT = SeriesHeader(role="dose-report", number=998, modality="SR", description="Отчёт о дозе")


def localizer(context: StudyContext, scene: Phantom) -> Series:
    """Make a one-image localizer: a projection from front to back."""
    geometry = upright([0.0], thickness=160.0)
    return ct_series(context, scene, geometry, header=LOCALIZER, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))


def reformatted(context: StudyContext, scene: Phantom) -> Series:
    """Make coronal reformatted images."""
    geometry = upright([-20.0, 0.0, 20.0], thickness=3.0)
    return ct_series(context, scene, geometry, header=MPR, noise_hu=2.0, image_type=("DERIVED", "SECONDARY", "MPR"))


def bolus_monitoring(context: StudyContext, scene: Phantom, *, images: int = 4) -> Series:
    """Make low-dose images of one and the same plane, one every two seconds, while contrast arrives."""
    geometry = scan(evenly(1, spacing=10.0))
    plane = geometry.planes[0]
    clean = render_plane(scene, plane)
    instances: list[Instance] = []
    for index in range(images):
        dataset = new_image(context, BOLUS, sop_class=CTImageStorage, number=index + 1)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.AcquisitionTime = clock(context.identity, 60 * 10 + 2 * index)
        dataset.ContrastBolusAgent = "SYNTHETIC"
        place(dataset, plane, frame_of_reference=context.uid("frame-of-reference"))
        position_patient(dataset, geometry)
        describe_scan(dataset, kernel=Kernel.SOFT, acquisition=index + 1)
        PixelForm().write(dataset, add_noise(clean, 15.0, context.seed, BOLUS.role, index), index=index)
        instances.append(encode(dataset))
    return Series(context.uid(BOLUS.role, BOLUS.number), BOLUS.modality, BOLUS.role, tuple(instances))


def dose_sheet(context: StudyContext) -> Series:
    """Make a secondary capture of the dose page, with burned-in annotation."""
    dataset = new_image(context, DOSE_SHEET, sop_class=SecondaryCaptureImageStorage, number=1)
    dataset.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    dataset.ConversionType = "WSD"
    dataset.BurnedInAnnotation = "YES"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    page = np.zeros((64, 128), dtype=np.uint8)
    page[8:56:8, 8:100] = 220  # lines where the numbers would stand
    set_pixels(dataset, page)
    return Series(
        context.uid(DOSE_SHEET.role, DOSE_SHEET.number), DOSE_SHEET.modality, DOSE_SHEET.role, (encode(dataset),)
    )


def dose_report(context: StudyContext) -> Series:
    """Make a structured radiation dose report with the least content that TID 10011 demands."""
    dataset = new_image(context, DOSE_REPORT, sop_class=XRayRadiationDoseSRStorage, number=1)
    for keyword in ("PatientOrientation", "BodyPartExamined", "AcquisitionDate", "AcquisitionTime", "ProtocolName"):
        delattr(dataset, keyword)
    dataset.CompletionFlag = "COMPLETE"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.PerformedProcedureCodeSequence = []
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.ValueType = "CONTAINER"
    dataset.ConceptNameCodeSequence = [_code("113701", "DCM", "X-Ray Radiation Dose Report")]
    dataset.ContinuityOfContent = "SEPARATE"
    dataset.ContentTemplateSequence = [_template("10011")]
    procedure = _item("HAS CONCEPT MOD", "CODE", _code("121058", "DCM", "Procedure reported"))
    procedure.ConceptCodeSequence = [_code("77477000", "SCT", "Computed Tomography X-Ray")]
    intent = _item("HAS CONCEPT MOD", "CODE", _code("363703001", "SCT", "Has Intent"))
    intent.ConceptCodeSequence = [_code("261004008", "SCT", "Diagnostic Intent")]
    procedure.ContentSequence = [intent]
    scope = _item("HAS OBS CONTEXT", "CODE", _code("113705", "DCM", "Scope of Accumulation"))
    scope.ConceptCodeSequence = [_code("113014", "DCM", "Study")]
    dose = _item("CONTAINS", "CONTAINER", _code("113811", "DCM", "CT Accumulated Dose Data"))
    dose.ContinuityOfContent = "SEPARATE"
    dose.ContentSequence = [
        _number(_code("113812", "DCM", "Total Number of Irradiation Events"), "1", "{events}"),
        _number(_code("113813", "DCM", "CT Dose Length Product Total"), "800", "mGy.cm"),
    ]
    source = _item("CONTAINS", "CODE", _code("113854", "DCM", "Source of Dose Information"))
    source.ConceptCodeSequence = [_code("113856", "DCM", "Automated Data Collection")]
    dataset.ContentSequence = [procedure, scope, dose, source]
    return Series(
        context.uid(DOSE_REPORT.role, DOSE_REPORT.number), DOSE_REPORT.modality, DOSE_REPORT.role, (encode(dataset),)
    )


def all_companions(context: StudyContext, scene: Phantom) -> tuple[Series, ...]:
    """Make one of each."""
    return (
        localizer(context, scene),
        reformatted(context, scene),
        bolus_monitoring(context, scene),
        dose_sheet(context),
        dose_report(context),
    )


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _template(identifier: str) -> Dataset:
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", identifier
    return template


def _item(relationship: str, value_type: str, name: Dataset) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType, item.ConceptNameCodeSequence = relationship, value_type, [name]
    return item


def _number(name: Dataset, value: str, unit: str) -> Dataset:
    item = _item("CONTAINS", "NUM", name)
    measured = Dataset()
    measured.NumericValue = value
    measured.MeasurementUnitsCodeSequence = [_code(unit, "UCUM", unit.strip("{}"))]
    item.MeasuredValueSequence = [measured]
    return item
