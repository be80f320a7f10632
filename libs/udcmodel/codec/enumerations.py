"""Enumerations of the wire and the words of ``udcmodel.vocabulary``, both ways."""

from collections.abc import Mapping
from typing import Final, cast

from udc.device.v1 import result_pb2
from udc.events.v1 import job_pb2
from udcmodel import result as values
from udcmodel.vocabulary import ErrorCategory, InputKind, Mode, Outcome, Presence, Priority

MODE_TO_PROTO: Final[Mapping[Mode, job_pb2.Mode]] = {
    Mode.SHADOW: job_pb2.MODE_SHADOW,
    Mode.PILOT: job_pb2.MODE_PILOT,
    Mode.LIVE: job_pb2.MODE_LIVE,
}
MODE_FROM_PROTO: Final = {number: mode for mode, number in MODE_TO_PROTO.items()}

PRIORITY_TO_PROTO: Final[Mapping[Priority, job_pb2.Priority]] = {
    Priority.URGENT: job_pb2.PRIORITY_URGENT,
    Priority.ROUTINE: job_pb2.PRIORITY_ROUTINE,
    Priority.BATCH: job_pb2.PRIORITY_BATCH,
}
PRIORITY_FROM_PROTO: Final = {number: priority for priority, number in PRIORITY_TO_PROTO.items()}

INPUT_KIND_TO_PROTO: Final[Mapping[InputKind, job_pb2.InputKind]] = {
    InputKind.STACK: job_pb2.INPUT_KIND_STACK,
    InputKind.PRIOR_STACK: job_pb2.INPUT_KIND_PRIOR_STACK,
    InputKind.WAVEFORM: job_pb2.INPUT_KIND_WAVEFORM,
    InputKind.FEATURES: job_pb2.INPUT_KIND_FEATURES,
    InputKind.RESULT: job_pb2.INPUT_KIND_RESULT,
}
INPUT_KIND_FROM_PROTO: Final = {number: kind for kind, number in INPUT_KIND_TO_PROTO.items()}

OUTCOME_TO_PROTO: Final[Mapping[Outcome, job_pb2.Outcome]] = {
    outcome: cast("job_pb2.Outcome", job_pb2.Outcome.Value(f"OUTCOME_{outcome.name}")) for outcome in Outcome
}
OUTCOME_FROM_PROTO: Final = {number: outcome for outcome, number in OUTCOME_TO_PROTO.items()}

CATEGORY_TO_PROTO: Final[Mapping[ErrorCategory, job_pb2.ErrorCategory]] = {
    category: cast("job_pb2.ErrorCategory", job_pb2.ErrorCategory.Value(f"ERROR_CATEGORY_{category.name}"))
    for category in ErrorCategory
}
CATEGORY_FROM_PROTO: Final = {number: category for category, number in CATEGORY_TO_PROTO.items()}

PRESENCE_TO_PROTO: Final[Mapping[Presence, result_pb2.Presence]] = {
    Presence.PRESENT: result_pb2.PRESENCE_PRESENT,
    Presence.ABSENT: result_pb2.PRESENCE_ABSENT,
    Presence.UNDETERMINED: result_pb2.PRESENCE_UNDETERMINED,
}
PRESENCE_FROM_PROTO: Final = {number: presence for presence, number in PRESENCE_TO_PROTO.items()}

TEXT_KIND_TO_PROTO: Final[Mapping[values.TextKind, result_pb2.Text.Kind]] = {
    values.TextKind.FINDINGS: result_pb2.Text.KIND_FINDINGS,
    values.TextKind.CONCLUSION: result_pb2.Text.KIND_CONCLUSION,
    values.TextKind.RECOMMENDATION: result_pb2.Text.KIND_RECOMMENDATION,
}
TEXT_KIND_FROM_PROTO: Final = {number: kind for kind, number in TEXT_KIND_TO_PROTO.items()}
