"""The archiver's own tables."""

from typing import Final

from sqlalchemy import Column, ForeignKeyConstraint, Integer, LargeBinary, MetaData, String, Table, UniqueConstraint

from udckit.database import UtcTime

METADATA: Final = MetaData()

RESULTS: Final = Table(
    "results",
    METADATA,
    Column("job", String, primary_key=True),
    Column("result_digest", String, primary_key=True),
    Column("study_instance_uid", String, nullable=False),
    Column("witness_series_uid", String, nullable=False),
    Column("witness_instance_uid", String, nullable=False),
    Column("builder_version", String, nullable=False),
    # zlib over JSON: the headers from which the objects were built.
    Column("snapshot", LargeBinary, nullable=False),
    Column("built_at", UtcTime, nullable=False),
)

OBJECTS: Final = Table(
    "objects",
    METADATA,
    Column("job", String, primary_key=True),
    Column("result_digest", String, primary_key=True),
    # Order of storing, from 0.
    Column("position", Integer, primary_key=True),
    Column("kind", String, nullable=False),
    Column("sop_class_uid", String, nullable=False),
    Column("sop_instance_uid", String, nullable=False),
    Column("series_instance_uid", String, nullable=False),
    Column("digest", String, nullable=False),
    # zlib over the file. In the same transaction as the UIDs: an object that is known here can always be sent.
    Column("content", LargeBinary, nullable=False),
    ForeignKeyConstraint(["job", "result_digest"], ["results.job", "results.result_digest"]),
    UniqueConstraint("sop_instance_uid", name="objects_sop_instance_uid"),
)

DELIVERIES: Final = Table(
    "deliveries",
    METADATA,
    Column("job", String, primary_key=True),
    Column("result_digest", String, primary_key=True),
    Column("archive", String, primary_key=True),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("detail", String, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
)

PROOFS: Final = Table(
    "proofs",
    METADATA,
    Column("job", String, primary_key=True),
    Column("result_digest", String, primary_key=True),
    Column("archive", String, primary_key=True),
    Column("sop_instance_uid", String, primary_key=True),
    Column("stored_at", UtcTime),
    Column("verified_at", UtcTime),
    ForeignKeyConstraint(
        ["job", "result_digest", "archive"], ["deliveries.job", "deliveries.result_digest", "deliveries.archive"]
    ),
)
