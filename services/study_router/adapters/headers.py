"""From DICOM JSON (PS3.18 annex F) to what is kept of a header. What is malformed is absent, never an error."""

from collections.abc import Iterator

from study_router.adapters.dicom_json import (
    Json,
    directions,
    first_item,
    integer,
    items,
    number,
    pair,
    text,
    texts,
    vector,
)
from study_router.adapters.functional_groups import frames_of, region_of, shared_frame
from study_router.domain.instances import Header, is_rejection_note
from study_router.domain.studies import Patient, SeenInstance
from study_router.domain.uids import is_uid


def seen_instance(dataset: Json) -> SeenInstance | None:
    """Return what an instance's metadata say; None without the UIDs that everything hangs on."""
    study, series, sop = (text(dataset, tag) for tag in ("0020000D", "0020000E", "00080018"))
    if not all(is_uid(uid) for uid in (study, series, sop)):
        return None
    return SeenInstance(
        study_instance_uid=study,
        patient=patient_of(dataset),
        age=text(dataset, "00101010"),
        study_date=text(dataset, "00080020"),
        study_description=text(dataset, "00081030"),
        header=_header(dataset, series=series, sop=sop),
    )


def patient_of(dataset: Json) -> Patient:
    """Return who an instance or a study is about."""
    return Patient(
        patient_id=text(dataset, "00100020"),
        issuer=text(dataset, "00100021"),
        birth_date=text(dataset, "00100030"),
        sex=text(dataset, "00100040"),
    )


def _header(dataset: Json, *, series: str, sop: str) -> Header:
    row, column = directions(dataset, "00200037")
    sop_class, title = text(dataset, "00080016"), text(first_item(dataset, "0040A043"), "00080100")
    order_code, order_text = _order(dataset)
    header = Header(
        sop_class_uid=sop_class,
        sop_instance_uid=sop,
        series_instance_uid=series,
        modality=text(dataset, "00080060"),
        series_number=integer(dataset, "00200011"),
        series_description=text(dataset, "0008103E"),
        body_part=text(dataset, "00180015") or region_of(dataset),
        protocol=text(dataset, "00181030"),
        image_type=texts(dataset, "00080008"),
        manufacturer=text(dataset, "00080070"),
        model=text(dataset, "00081090"),
        station=text(dataset, "00081010"),
        document_title=title,
        rejects=_references(dataset) if is_rejection_note(sop_class, title) else (),
        frame_of_reference_uid=text(dataset, "00200052"),
        position=vector(dataset, "00200032"),
        row_direction=row,
        column_direction=column,
        # Imager Pixel Spacing (0018,1164) is no substitute: it holds at the detector, not in the patient.
        pixel_spacing=pair(dataset, "00280030"),
        rows=integer(dataset, "00280010") or 0,
        columns=integer(dataset, "00280011") or 0,
        number_of_frames=integer(dataset, "00280008") or 1,
        instance_number=integer(dataset, "00200013"),
        acquisition_uid=text(dataset, "00080017"),
        acquisition_number=integer(dataset, "00200012"),
        temporal_position=integer(dataset, "00200100"),
        acquisition_time=text(dataset, "00080032") or text(dataset, "0008002A"),
        b_value=number(dataset, "00189087"),
        echo_time=number(dataset, "00180081"),
        kvp=number(dataset, "00180060"),
        energy_kev=number(dataset, "0018937C"),
        kernel="\\".join(texts(dataset, "00181210")),
        slice_thickness=number(dataset, "00180050"),
        contrast_agent=text(dataset, "00180010"),
        view_position=text(dataset, "00185101"),
        laterality=text(dataset, "00200062") or text(dataset, "00200060"),
        photometric=text(dataset, "00280004"),
        presentation_intent=text(dataset, "00080068"),
        burned_in=text(dataset, "00280301"),
        is_made_from_images=bool(first_item(dataset, "00082112")),
        ae_title=text(dataset, "00020016"),
        institution=text(dataset, "00080080"),
        charset=text(dataset, "00080005"),
        order_code=order_code,
        order_text=order_text,
        procedure_code=text(first_item(dataset, "00081032"), "00080100"),
        images_in_acquisition=integer(dataset, "00201002"),
        frames=frames_of(dataset),
    )
    return shared_frame(dataset).over(header)


def _references(dataset: Json) -> tuple[str, ...]:
    """Return every instance that a key object names (PS3.3 C.17.6): its evidence should list all of its content."""
    evidence = [
        series
        for sequence in ("0040A375", "0040A385")
        for study in items(dataset, sequence)
        for series in items(study, "00081115")
    ]
    holders = [*evidence, *_content(dataset)]
    return tuple(sorted({text(item, "00081155") for holder in holders for item in items(holder, "00081199")} - {""}))


def _content(dataset: Json) -> Iterator[Json]:
    for item in items(dataset, "0040A730"):
        yield item
        yield from _content(item)


def _order(dataset: Json) -> tuple[str, str]:
    """Return code and text of what was ordered: the requested procedure, else the scheduled step.

    Request Attributes Sequence (0040,0275) first: what lies outside it may be of another of several requests.
    """
    for source in (first_item(dataset, "00400275"), dataset):
        for codes, words in (("00321064", "00321060"), ("00400008", "00400007")):
            code = text(first_item(source, codes), "00080100")
            said = text(source, words) or text(first_item(source, codes), "00080104")
            if code or said:
                return code, said
    return "", ""
