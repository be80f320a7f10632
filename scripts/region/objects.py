"""Result objects as anybody with DICOMweb sees them."""

from email.parser import BytesParser
from email.policy import HTTP
from io import BytesIO
from pathlib import Path
from typing import Final

import httpx
import pydicom
from pydicom.dataset import Dataset

from region.story import StoredObject

VOLUME: Final = "118565006"
PRESENT: Final = "52101004"
ABSENT: Final = "272519000"


async def retrieve(client: httpx.AsyncClient, dicomweb_url: str, study: str, item: StoredObject) -> bytes:
    """Fetch one instance by WADO-RS (PS3.18 10.4) and return the file.

    Raises:
        httpx.HTTPStatusError: the archive does not have it.
    """
    answer = await client.get(
        f"{dicomweb_url}/studies/{study}/series/{item.series_instance_uid}/instances/{item.sop_instance_uid}",
        headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
    )
    answer.raise_for_status()
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + answer.content)
    part = next(iter(message.iter_parts()))
    content = part.get_content()
    assert isinstance(content, bytes)  # noqa: S101 - what the parser documents for a part that is not text
    pydicom.dcmread(BytesIO(content), stop_before_pixels=True)
    return content


def measured_volume_ml(report: Path) -> str:
    """Return in words what a structured report says: volumes, or presence alone."""
    words = []
    for item in _content_items(pydicom.dcmread(report)):
        concept = item.ConceptNameCodeSequence[0].CodeValue if "ConceptNameCodeSequence" in item else ""
        if item.ValueType == "NUM" and concept == VOLUME:
            words.append(f"{float(item.MeasuredValueSequence[0].NumericValue):.1f} ml")
        if item.ValueType == "CODE" and "ConceptCodeSequence" in item:
            value = item.ConceptCodeSequence[0].CodeValue
            if value in {PRESENT, ABSENT}:
                words.append("present" if value == PRESENT else "nothing")
    return ", ".join(dict.fromkeys(words))


def _content_items(dataset: Dataset) -> list[Dataset]:
    children = list(dataset.get("ContentSequence", ()))
    return children + [item for child in children for item in _content_items(child)]
