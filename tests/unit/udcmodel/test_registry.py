"""Looking things up in a copy of the registry."""

import pytest

from udckit.errors import InternalError
from udcmodel.codec import encode_record
from udcmodel.grant import ArchiveRecord, registry_key
from udcmodel.registry import CopiedRegistry

ARCHIVE = ArchiveRecord(archive="pacs.main", dicomweb_url="http://pacs/dicom-web", credentials="", profile="air")


def registry_of(rows: dict[str, bytes]) -> CopiedRegistry:
    return CopiedRegistry(rows.get)


def test_what_the_copy_has_is_a_record_and_what_it_has_not_is_none() -> None:
    registry = registry_of({registry_key("archive", "pacs.main"): encode_record(ARCHIVE, revision=1)})
    assert registry.archive("pacs.main") == ARCHIVE
    assert registry.archive("pacs.other") is None
    assert registry.device_version("pacs", "main") is None


def test_a_record_of_another_kind_is_no_answer() -> None:
    registry = registry_of({registry_key("attachment", "a-1"): encode_record(ARCHIVE, revision=1)})
    with pytest.raises(InternalError, match="ArchiveRecord under attachment"):
        registry.attachment("a-1")
