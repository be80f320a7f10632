"""The broker's configuration for one region: one account, one user per service, and what each may say and hear.

Users are the URIs of the certificates. Everything is allowed by name; what is not named is refused. No service may
create or change a stream or a durable consumer: the provisioner does that, at installation.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from udckit import subjects
from udckit.security.identity import Service, service_uri
from udckit.security.tls import Tls

DEFAULT_POOLS: Final = ("default",)


_CHECKED_AT_START: Final = (
    # Each service refuses a broker that could lose what it has acknowledged.
    subjects.SERVER_HEALTH,
    f"$JS.API.STREAM.INFO.{subjects.STREAM_EVENTS}",
    f"$JS.API.STREAM.INFO.{subjects.STREAM_DEAD_LETTERS}",
)


@dataclass(frozen=True, slots=True)
class Permissions:
    """Subjects that a user may publish to and subscribe to."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def account_of(region: str) -> str:
    """Return the account in which all services of ``region`` live."""
    return region.upper()


def inbox_prefix(service: Service) -> str:
    """Return the prefix of the only subjects to which ``service`` may subscribe."""
    return f"_INBOX_{service}"


def permissions_of(service: Service, *, pools: Sequence[str] = DEFAULT_POOLS) -> Permissions:
    """Return what ``service`` may do.

    Args:
        service: A service that connects to the broker.
        pools: Serving pools of the region. Each has a durable consumer of its own, which must be named here, because
            a subject permission cannot hold a part of a token.
    """
    own = _serving(pools) if service is Service.MODEL_SERVING else _OWN[service]
    return Permissions(
        publish=tuple(dict.fromkeys((*_CHECKED_AT_START, *own))),
        subscribe=(f"{inbox_prefix(service)}.>", *_OVERHEARD.get(service, ())),
    )


def _takes(durable: str, *events: str) -> tuple[str, ...]:
    """Take ``events`` from ``durable``, and send those that cannot be handled to the dead letters."""
    stream = subjects.STREAM_EVENTS
    return (
        f"$JS.API.CONSUMER.INFO.{stream}.{durable}",
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}",
        f"$JS.ACK.{stream}.{durable}.>",
        *(subjects.dead_letter(event) for event in events),
    )


def _reads_table(bucket: str) -> tuple[str, ...]:
    stream = f"KV_{bucket}"
    return (
        f"$JS.API.STREAM.INFO.{stream}",
        f"$JS.API.DIRECT.GET.{stream}.$KV.{bucket}.>",
        f"$JS.API.CONSUMER.CREATE.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        f"$JS.API.CONSUMER.INFO.{stream}.*",
        # Without flow control a watch of a large bucket was seen to stall.
        f"$JS.FC.{stream}.>",
    )


def _writes_table(bucket: str) -> tuple[str, ...]:
    stream = f"KV_{bucket}"
    return (
        f"$JS.API.STREAM.INFO.{stream}",
        f"$JS.API.DIRECT.GET.{stream}.$KV.{bucket}.>",
        f"$KV.{bucket}.>",
    )


def _reads_objects(bucket: str) -> tuple[str, ...]:
    stream = f"OBJ_{bucket}"
    return (
        f"$JS.API.STREAM.INFO.{stream}",
        f"$JS.API.STREAM.MSG.GET.{stream}",
        "$JS.API.STREAM.NAMES",
        f"$JS.API.CONSUMER.CREATE.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        f"$JS.FC.{stream}.>",
    )


def _writes_objects(bucket: str) -> tuple[str, ...]:
    stream = f"OBJ_{bucket}"
    # No purge: it could empty the bucket, and content-addressed objects are never overwritten.
    return (
        f"$JS.API.STREAM.INFO.{stream}",
        f"$JS.API.STREAM.MSG.GET.{stream}",
        f"$O.{bucket}.C.*",
        f"$O.{bucket}.M.*",
    )


def _serving(pools: Sequence[str]) -> tuple[str, ...]:
    taken = [
        grant
        for pool in pools
        for grant in _takes(subjects.durable_serving_jobs(pool), subjects.job_dispatched(pool, "*"))
    ]
    return (
        subjects.JOB_STARTED,
        subjects.JOB_PROGRESSED,
        subjects.JOB_RETURNED,
        subjects.JOB_INFERRED,
        subjects.JOB_FAILED,
        *taken,
        *_reads_table(subjects.BUCKET_REGISTRY),
        *_writes_table(subjects.BUCKET_POOLS),
        *_writes_objects(subjects.BUCKET_OBJECTS),
        *_reads_objects(subjects.BUCKET_OBJECTS),
        *_reads_objects(subjects.BUCKET_GOLDEN),
    )


_OWN: Final[Mapping[Service, tuple[str, ...]]] = MappingProxyType(
    {
        Service.STUDY_ROUTER: (
            subjects.STUDY_COMPLETED,
            subjects.STUDY_REVISED,
            subjects.STUDY_QUARANTINED,
            subjects.job_dispatched("*", "*"),
            subjects.JOB_CANCELED,
            subjects.JOB_ENDED,
            subjects.RESULT_ACCEPTED,
            subjects.DEVICE_REGISTERED,
            subjects.DEVICE_ATTACHED,
            *_takes(
                subjects.DURABLE_ROUTER_JOBS,
                subjects.JOB_STARTED,
                subjects.JOB_PROGRESSED,
                subjects.JOB_RETURNED,
                subjects.JOB_INFERRED,
                subjects.JOB_FAILED,
            ),
            *_takes(subjects.DURABLE_ROUTER_RESULTS, subjects.RESULT_ARCHIVED, subjects.RESULT_FAILED),
            *_reads_table(subjects.BUCKET_REGISTRY),
            *_writes_table(subjects.BUCKET_REGISTRY),
            *_reads_table(subjects.BUCKET_POOLS),
            # Manifests and the descriptions of inputs, which others read by their digest.
            *_writes_objects(subjects.BUCKET_OBJECTS),
            *_writes_objects(subjects.BUCKET_GOLDEN),
        ),
        Service.RESULT_ARCHIVER: (
            subjects.RESULT_ARCHIVED,
            subjects.RESULT_FAILED,
            *_takes(subjects.DURABLE_ARCHIVER_RESULTS, subjects.RESULT_ACCEPTED),
            *_reads_table(subjects.BUCKET_REGISTRY),
            *_reads_objects(subjects.BUCKET_OBJECTS),
        ),
        Service.SURVEILLANCE_REPORTER: (
            *_takes(subjects.DURABLE_SURVEILLANCE, f"{subjects.PREFIX}.>"),
            *_reads_table(subjects.BUCKET_REGISTRY),
        ),
        Service.EHR_FEATURES: (),
        Service.PROVISIONER: ("$JS.API.>",),
    }
)

_OVERHEARD: Final[Mapping[Service, tuple[str, ...]]] = MappingProxyType(
    {
        # Each replica must hear of it, not one of them; who misses it finds out at BeginArchiving.
        Service.MODEL_SERVING: (subjects.JOB_CANCELED,),
    }
)
"""Events that a service listens to as they are published, without a consumer of its own."""

CONNECTING: Final = (*_OWN, Service.MODEL_SERVING)
"""Services that have a user; the others never speak to the broker."""


def server_configuration(
    region: str,
    tls: Tls,
    *,
    pools: Sequence[str] = DEFAULT_POOLS,
    store_directory: Path | None = None,
    listen: str | None = None,
) -> str:
    """Return the text of a configuration file for nats-server.

    Args:
        region: Region code.
        tls: Certificate of the broker, and the authority whose clients it lets in.
        pools: Serving pools of the region.
        store_directory: Where JetStream keeps its files; to be given on the command line when left out.
        listen: ``<host>:<port>`` for clients; to be given on the command line when left out.
    """
    users = "\n".join(_user(region, service, pools) for service in CONNECTING)
    jetstream = ["sync_interval: always"]
    if store_directory is not None:
        jetstream.append(f"store_dir: {json.dumps(str(store_directory))}")
    first = "" if listen is None else f"listen: {json.dumps(listen)}\n"
    return f"""# Made by python -m udckit.security; changes are lost when it runs again.
{first}server_name: {json.dumps(f"udc-{region}")}

# Every message is on disk before it is acknowledged.
jetstream {{ {", ".join(jetstream)} }}

tls {{
  ca_file: {json.dumps(str(tls.ca))}
  cert_file: {json.dumps(str(tls.cert))}
  key_file: {json.dumps(str(tls.key))}
  verify_and_map: true
  timeout: 5
}}

system_account: SYS

accounts {{
  SYS {{
    exports: [ {{ service: "$SYS.REQ.SERVER.PING.JSZ", response_type: stream }} ]
  }}
  {account_of(region)} {{
    jetstream: enabled
    imports: [
      {{ service: {{ account: SYS, subject: "$SYS.REQ.SERVER.PING.JSZ" }}, to: {json.dumps(subjects.SERVER_HEALTH)} }}
    ]
    users: [
{users}
    ]
  }}
}}
"""


def _user(region: str, service: Service, pools: Sequence[str]) -> str:
    permissions = permissions_of(service, pools=pools)
    publish = "".join(f"\n            {json.dumps(subject)}" for subject in permissions.publish)
    subscribe = json.dumps(list(permissions.subscribe))
    return f"""      {{
        user: {json.dumps(service_uri(region, service))}
        permissions: {{
          publish: {{ allow: [{publish}
          ] }}
          subscribe: {{ allow: {subscribe} }}
        }}
      }}"""
