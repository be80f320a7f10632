"""Between values and wire: the only package here that knows protobuf.

Encoding is deterministic, so the digest of an encoded value identifies the value.
"""

from udcmodel.codec.basics import (
    known,
    moment,
    timestamp,
)
from udcmodel.codec.enumerations import (
    CATEGORY_FROM_PROTO,
    CATEGORY_TO_PROTO,
    INPUT_KIND_FROM_PROTO,
    INPUT_KIND_TO_PROTO,
    MODE_FROM_PROTO,
    MODE_TO_PROTO,
    OUTCOME_FROM_PROTO,
    OUTCOME_TO_PROTO,
    PRESENCE_FROM_PROTO,
    PRESENCE_TO_PROTO,
    PRIORITY_FROM_PROTO,
    PRIORITY_TO_PROTO,
    TEXT_KIND_FROM_PROTO,
    TEXT_KIND_TO_PROTO,
)
from udcmodel.codec.registry import (
    RegistryRecord,
    certificate_from_proto,
    certificate_to_proto,
    decode_record,
    encode_record,
    grant_from_proto,
    grant_to_proto,
)
from udcmodel.codec.results import (
    decode_result,
    encode_result,
)
from udcmodel.codec.stacks import (
    decode_stack,
    encode_stack,
)

__all__ = [
    "CATEGORY_FROM_PROTO",
    "CATEGORY_TO_PROTO",
    "INPUT_KIND_FROM_PROTO",
    "INPUT_KIND_TO_PROTO",
    "MODE_FROM_PROTO",
    "MODE_TO_PROTO",
    "OUTCOME_FROM_PROTO",
    "OUTCOME_TO_PROTO",
    "PRESENCE_FROM_PROTO",
    "PRESENCE_TO_PROTO",
    "PRIORITY_FROM_PROTO",
    "PRIORITY_TO_PROTO",
    "TEXT_KIND_FROM_PROTO",
    "TEXT_KIND_TO_PROTO",
    "RegistryRecord",
    "certificate_from_proto",
    "certificate_to_proto",
    "decode_record",
    "decode_result",
    "decode_stack",
    "encode_record",
    "encode_result",
    "encode_stack",
    "grant_from_proto",
    "grant_to_proto",
    "known",
    "moment",
    "timestamp",
]
