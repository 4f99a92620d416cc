"""The record of one generation: what ``record.json`` holds, its index line, and its view in the API.

``created_at`` is the time in the id, so that a record, its keys and its index file agree on the date.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, get_args, get_origin

from core import ids, times
from generation import keys
from generation.services import CONTENT_TYPES, EXTENSIONS, Service

if TYPE_CHECKING:
    from core.identity import Identity
    from generation.chain import Outcome

LINE_PROMPT_CHARACTERS = 200


class Size(TypedDict):
    """Bytes of ``input.json`` and of the artifact."""

    inputBytes: int
    outputBytes: int


class Cost(TypedDict):
    """What the provider charged, in US dollars; null where that is not known."""

    usd: float | None


class RecordMeta(TypedDict):
    """The parameters of the request and of its making."""

    params: dict[str, Any]


class Record(TypedDict):
    """``record.json``, field for field."""

    id: str
    userId: str
    username: str
    service: str
    provider: str
    model: str
    prompt: str
    promptHash: str
    status: str
    latencyMs: int
    size: Size
    cost: Cost
    createdAt: str
    artifacts: dict[str, str]
    meta: RecordMeta


class Line(TypedDict):
    """One line of a history index."""

    id: str
    createdAt: str
    service: str
    provider: str
    model: str
    prompt: str
    status: str
    contentType: str
    bytes: int
    record: str


class Links(TypedDict):
    """Where the generation and its download are."""

    self: str
    download: str


class Generation(TypedDict):
    """A generation as the API shows it; ``generation.schemas`` has what a service adds."""

    id: str
    service: str
    status: str
    prompt: str
    createdAt: str
    userId: str | None
    s3: dict[str, str]
    meta: dict[str, Any]
    links: Links


class InvalidRecord(ValueError):
    """The bytes are not a record of ours."""


_FALLBACK = ("fallbackFrom", "fallbackReason")
_TEXTS = ("id", "userId", "username", "service", "provider", "model", "prompt", "promptHash", "status", "createdAt")


@lru_cache
def _kinds(service: Service) -> Mapping[str, type | tuple[type, ...]]:
    """What a parameter that the API shows must be."""
    shown = {**service.shown, **service.told, **dict.fromkeys(_FALLBACK, Annotated[str, ""])}
    return {name: _kind(get_args(kind)[0]) for name, kind in shown.items()}


def _kind(annotation: Any) -> type | tuple[type, ...]:
    if isinstance(annotation, UnionType):
        return get_args(annotation)
    return (float, int) if annotation is float else get_origin(annotation) or annotation


def build(
    service: Service,
    record_id: str,
    *,
    caller: "Identity | None",
    prompt: str,
    shown_prompt: str | None = None,
    params: Mapping[str, Any],
    outcome: "Outcome",
    latency_ms: int,
    input_bytes: int,
) -> Record:
    """The record of a finished generation; ``params`` are the request's own (size and seed, or voice)."""
    artifact = outcome.artifact
    made: dict[str, Any] = {
        **artifact.facts,
        "fallbackFrom": outcome.fallback_from,
        "fallbackReason": outcome.fallback_reason,
    }
    return {
        "id": record_id,
        "userId": caller.sub if caller else keys.ANONYMOUS,
        "username": caller.email if caller else keys.ANONYMOUS,
        "service": service.name,
        "provider": artifact.provider,
        "model": artifact.model,
        "prompt": prompt if shown_prompt is None else shown_prompt,
        "promptHash": f"sha256:{hashlib.sha256(prompt.encode()).hexdigest()}",
        "status": "completed",
        "latencyMs": latency_ms,
        "size": {"inputBytes": input_bytes, "outputBytes": len(artifact.content)},
        "cost": {"usd": artifact.cost_usd},
        "createdAt": times.rfc3339(ids.created_at(record_id)),
        "artifacts": {
            service.artifact: keys.artifact_object(service, record_id, EXTENSIONS[artifact.content_type]),
        },
        "meta": {"params": {**params, **{name: value for name, value in made.items() if value is not None}}},
    }


def dumps(document: Mapping[str, Any]) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def loads(service: Service, record_id: str, content: bytes) -> Record:
    """The record in ``record.json``. Raises ``InvalidRecord`` when it is not this one of this service."""
    try:
        record: Record = json.loads(content)
        dumps(record)  # a lone surrogate can be read and not be shown
        texts = all(isinstance(record[name], str) for name in _TEXTS)  # type: ignore[literal-required]
        known = record["service"] == service.name and record["id"] == record_id
        owned = record["userId"] == keys.ANONYMOUS or ids.is_valid(record["userId"])
        counted = isinstance(record["latencyMs"], int) and isinstance(record["size"]["outputBytes"], int)
        params = record["meta"]["params"]
        shown = isinstance(params, dict) and all(
            isinstance(params[name], kind) for name, kind in _kinds(service).items() if name in params
        )
        extension = record["artifacts"][service.artifact].rpartition(".")[2]
        # Anybody who may read the record gets a signed URL of this key.
        own = record["artifacts"] == {service.artifact: keys.artifact_object(service, record_id, extension)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidRecord(f"not a record: {type(error).__name__}") from error
    if not (texts and known and owned and counted and shown and own and extension in service.extensions):
        raise InvalidRecord("not this record of this service")
    return record


def content_type(service: Service, record: Record) -> str:
    """The media type of the record's artifact, which its key's ending tells."""
    return CONTENT_TYPES[record["artifacts"][service.artifact].rpartition(".")[2]]


def line(service: Service, record: Record) -> Line:
    """The record's line in its owner's history."""
    return {
        "id": record["id"],
        "createdAt": record["createdAt"],
        "service": record["service"],
        "provider": record["provider"],
        "model": record["model"],
        "prompt": record["prompt"][:LINE_PROMPT_CHARACTERS],
        "status": record["status"],
        "contentType": content_type(service, record),
        "bytes": record["size"]["outputBytes"],
        "record": keys.record_object(record["id"]),
    }


def view(service: Service, record: Record) -> Generation:
    """The record as the API shows it."""
    params = record["meta"]["params"]
    meta: dict[str, Any] = {
        "provider": record["provider"],
        "model": record["model"],
        "latencyMs": record["latencyMs"],
        "contentType": content_type(service, record),
        "bytes": record["size"]["outputBytes"],
    }
    meta.update({name: params[name] for name in (*service.shown, *_FALLBACK) if name in params})
    told = {name: params[name] for name in service.told if name in params}
    generation: Generation = {
        "id": record["id"],
        "service": record["service"],
        "status": record["status"],
        "prompt": record["prompt"],
        "createdAt": record["createdAt"],
        "userId": None if record["userId"] == keys.ANONYMOUS else record["userId"],
        "s3": {
            "input": keys.input_object(record["id"]),
            "record": keys.record_object(record["id"]),
            **record["artifacts"],
        },
        "meta": meta,
        "links": links(service, record["id"]),
        **told,  # type: ignore[typeddict-item]
    }
    return generation


def links(service: Service, record_id: str) -> Links:
    """Where the API serves a generation."""
    return {"self": f"/{service.name}/{record_id}", "download": f"/{service.name}/{record_id}/download"}


def readable_by(record: Record, caller: "Identity | None") -> bool:
    """Whether the caller may read it: an anonymous one whoever knows its id, a user's that user and admins."""
    if record["userId"] == keys.ANONYMOUS:
        return True
    return caller is not None and (caller.is_admin or caller.sub == record["userId"])
