"""Results of an imagined device on phantoms, and the build orders for them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from result_archiver.domain.header_tags import kept
from result_archiver.domain.key_images import key_images
from result_archiver.domain.objects import BuildOrder, DeviceDescription, Snapshot
from udcmodel.codec import encode_result
from udcmodel.ids import derive, digest_of, study_id
from udcmodel.result import (
    AiResult,
    Box,
    Code,
    Finding,
    Measurement,
    Provenance,
    QualityFlag,
    Segment,
    SegmentFrame,
    SegmentLocation,
    SourceInstance,
    Text,
    TextKind,
    pack_mask,
)
from udcmodel.vocabulary import Mode, Presence
from udcphantom.study import Study

ACCEPTED_AT = datetime(2026, 3, 1, 21, 15, 0, 250_000, tzinfo=UTC)
MOSCOW = ZoneInfo("Europe/Moscow")

HEMORRHAGE = Code("50960005", "SCT", "Hemorrhage")
OPACITY = Code("112001", "DCM", "Opacity")
MORPHOLOGY = Code("49755003", "SCT", "Morphologically Abnormal Structure")
BRAIN = Code("12738006", "SCT", "Brain")
LUNG = Code("39607008", "SCT", "Lung")
LEFT = Code("7771000", "SCT", "Left")
VOLUME = Code("118565006", "SCT", "Volume")
MILLILITRE = Code("ml", "UCUM", "milliliter")
SUMMED_VOXELS = Code("126030", "DCM", "Sum of segmented voxel method for volume")
DIAMETER = Code("81827009", "SCT", "Diameter")
MAXIMUM = Code("56851009", "SCT", "Maximum")
MILLIMETRE = Code("mm", "UCUM", "millimeter")

DEVICE = DeviceDescription(
    device="ct-brain-hyperdensity",
    version="1.0.0",
    title="КТ головного мозга: гиперденсные участки (демонстрация)",
    manufacturer="Демонстрационный производитель",
    model_digest=digest_of(b"model"),
    finding_titles={HEMORRHAGE: "гиперденсный участок внутри черепа", OPACITY: "затенение в лёгком"},
)


def headers_of(study: Study) -> dict[str, Dataset]:
    """All headers of a study without pixels, by SOP Instance UID, as its files have them."""
    headers = {}
    for dataset in study.datasets():
        if "PixelData" in dataset:
            del dataset.PixelData
        headers[str(dataset.SOPInstanceUID)] = dataset
    return headers


def sources_of(study: Study, role: str = "volume") -> tuple[SourceInstance, ...]:
    return tuple(
        SourceInstance(
            sop_class_uid=instance.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
            series_instance_uid=series.uid,
            study_instance_uid=study.uid,
        )
        for series in study.series
        if series.role == role
        for instance in series.instances
    )


def result_of(
    sources: tuple[SourceInstance, ...],
    findings: Iterable[Finding],
    *,
    segments: tuple[Segment, ...] = (),
    texts: tuple[Text, ...] = (),
    flags: tuple[QualityFlag, ...] = (),
    job: str = "job-1",
) -> AiResult:
    return AiResult(
        provenance=Provenance(
            job=job,
            device=DEVICE.device,
            version=DEVICE.version,
            manifest_digest=digest_of(b"manifest"),
            model_digest=DEVICE.model_digest,
            processing_version="1",
            input_digests=(digest_of(b"input"),),
        ),
        language="ru",
        findings=tuple(findings),
        sources=sources,
        segments=segments,
        texts=texts,
        quality_flags=flags,
    )


TEXTS = (
    Text(TextKind.FINDINGS, "В левом полушарии выявлен гиперденсный участок."),
    Text(TextKind.CONCLUSION, "Признаки внутричерепного кровоизлияния."),
)


def masks_of(study: Study, role: str = "volume") -> Mapping[str, NDArray[np.bool_]]:
    """The true mask of the lesions on each slice, by SOP Instance UID: from the scene, never from the pixels."""
    masks = {}
    for series in study.series:
        if series.role != role:
            continue
        for instance in series.instances:
            header = instance.read()
            row, column = np.mgrid[0 : header.Rows, 0 : header.Columns].astype(float)
            position = np.array(header.ImagePositionPatient, float)
            along_row, along_column = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
            between_rows, between_columns = map(float, header.PixelSpacing)
            points = (
                position
                + column[..., None] * between_columns * along_row
                + row[..., None] * between_rows * along_column
            )
            masks[instance.sop_instance_uid] = study.truth.inside(points)
    return masks


def segment_of(masks: Mapping[str, NDArray[np.bool_]], number: int = 1) -> Segment:
    frames = tuple(
        SegmentFrame(sop_instance_uid=uid, packed_mask=pack_mask(mask)) for uid, mask in masks.items() if mask.any()
    )
    rows, columns = next(iter(masks.values())).shape
    return Segment(
        number=number,
        label="Гиперденсный участок",
        category=MORPHOLOGY,
        type=HEMORRHAGE,
        rows=rows,
        columns=columns,
        frames=frames,
    )


def bleed(study: Study, *, job: str = "job-1") -> AiResult:
    """A device that is right: the lesions of the scene as one segment."""
    finding = Finding(
        id="hyperdensity",
        code=HEMORRHAGE,
        category=MORPHOLOGY,
        presence=Presence.PRESENT,
        probability=0.9312345,
        site=BRAIN,
        laterality=LEFT,
        measurements=(
            Measurement(name=VOLUME, value=24.3125, unit=MILLILITRE, method=SUMMED_VOXELS),
            Measurement(name=DIAMETER, value=41.5, unit=MILLIMETRE, derivation=MAXIMUM),
        ),
        locations=(SegmentLocation(segment_number=1),),
    )
    return result_of(sources_of(study), [finding], segments=(segment_of(masks_of(study)),), texts=TEXTS, job=job)


def nothing(study: Study, role: str = "volume") -> AiResult:
    finding = Finding(
        id="hyperdensity",
        code=HEMORRHAGE,
        category=MORPHOLOGY,
        presence=Presence.ABSENT,
        probability=0.0125,
        site=BRAIN,
    )
    return result_of(sources_of(study, role), [finding])


def opacity(study: Study, role: str) -> AiResult:
    left, top, right, bottom = study.truth.opacities[0].box
    sources = sources_of(study, role)
    finding = Finding(
        id="opacity",
        code=OPACITY,
        category=MORPHOLOGY,
        presence=Presence.PRESENT,
        probability=0.75,
        site=LUNG,
        locations=(Box(sop_instance_uid=sources[0].sop_instance_uid, left=left, top=top, right=right, bottom=bottom),),
    )
    return result_of(sources, [finding], texts=(Text(TextKind.CONCLUSION, "Затенение справа."),))


def order_of(study: Study, result: AiResult, *, mode: Mode = Mode.LIVE, issue: int = 1) -> BuildOrder:
    """The order to build ``result`` from what an archive would answer about ``study``."""
    headers = headers_of(study)
    files = {instance.sop_instance_uid: instance.encoded for instance in study.instances}
    own = [source.sop_instance_uid for source in result.sources if source.study_instance_uid == study.uid]
    shown = key_images(result, study_instance_uid=study.uid)
    return BuildOrder(
        study=study_id(region="r77", patient_id="P", issuer="I", study_instance_uid=study.uid),
        study_instance_uid=study.uid,
        job=str(derive("job", result.provenance.job)),
        result_digest=digest_of(encode_result(result)),
        result=result,
        device=replace(DEVICE, device=result.provenance.device),
        mode=mode,
        issue=issue,
        accepted_at=ACCEPTED_AT,
        zone=MOSCOW,
        snapshot=Snapshot(
            headers=tuple(kept(headers[uid].to_json_dict()) for uid in own),
            key_images={image.frame.sop_instance_uid: files[image.frame.sop_instance_uid] for image in shown},
        ),
    )


def bleed_in_frames(study: Study) -> AiResult:
    """A device that is right about a multi-frame file: the lesions of the scene as one segment."""
    (instance,) = study.instances
    header = instance.read()
    planes = []
    for number, group in enumerate(header.PerFrameFunctionalGroupsSequence, start=1):
        shared = header.SharedFunctionalGroupsSequence[0]
        row, column = np.mgrid[0 : header.Rows, 0 : header.Columns].astype(float)
        position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        orientation = (group if "PlaneOrientationSequence" in group else shared).PlaneOrientationSequence[0]
        measures = (group if "PixelMeasuresSequence" in group else shared).PixelMeasuresSequence[0]
        along_row, along_column = np.array(orientation.ImageOrientationPatient, float).reshape(2, 3)
        between_rows, between_columns = map(float, measures.PixelSpacing)
        points = (
            position + column[..., None] * between_columns * along_row + row[..., None] * between_rows * along_column
        )
        mask = study.truth.inside(points)
        if mask.any():
            planes.append(
                SegmentFrame(
                    sop_instance_uid=instance.sop_instance_uid, packed_mask=pack_mask(mask), frame_number=number
                )
            )
    segment = Segment(
        number=1,
        label="Гиперденсный участок",
        category=MORPHOLOGY,
        type=HEMORRHAGE,
        rows=header.Rows,
        columns=header.Columns,
        frames=tuple(planes),
    )
    finding = Finding(
        id="hyperdensity",
        code=HEMORRHAGE,
        presence=Presence.PRESENT,
        probability=0.9,
        locations=(SegmentLocation(segment_number=1),),
    )
    return result_of(sources_of(study, study.series[0].role), [finding], segments=(segment,))
