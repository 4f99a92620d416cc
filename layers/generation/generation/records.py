"""The record of one generation: what ``record.json`` holds, its index line, and its view in the API.

``created_at`` is the time in the id, so that a record, its keys and its index file agree on the date.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Required

from typing_extensions import TypedDict

from core import ids, times
from core.description import Described
from core.identity import Identity
from generation import keys
from generation.chain import Outcome
from generation.services import Service

LINE_PROMPT_CHARACTERS = 200

CONTENT_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp", "mp3": "audio/mpeg"}
EXTENSIONS = {content_type: extension for extension, content_type in CONTENT_TYPES.items()}


class Size(TypedDict):
    """Bytes of ``input.json`` and of the artifact."""

    inputBytes: int
    outputBytes: int


class Cost(TypedDict):
    """What the provider charged, in US dollars."""

    usd: float


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


Id = Annotated[str, Described("UUIDv7.", format="uuid", examples=["019ab7d2-51f3-7c1e-9a51-6f0d2b7c4e10"])]
Time = Annotated[str, Described("RFC 3339, UTC.", format="date-time", examples=["2026-11-22T13:30:00.123Z"])]
ServiceName = Annotated[str, Described(enum=["image", "tts"])]
Status = Annotated[str, Described(enum=["completed"])]
ContentType = Annotated[str, Described(enum=sorted(CONTENT_TYPES.values()))]
Bytes = Annotated[int, Described("Size of the artifact.", minimum=1, examples=[54216])]


class Line(TypedDict):
    """One line of a history index."""

    id: Id
    createdAt: Time
    service: ServiceName
    provider: Annotated[str, Described(examples=["pollinations"])]
    model: Annotated[str, Described(examples=["flux"])]
    prompt: Annotated[str, Described("Its first 200 characters.", examples=["a red fox in snow"])]
    status: Status
    contentType: ContentType
    bytes: Bytes
    record: Annotated[str, Described("Key of the record in storage.")]


class Meta(TypedDict, total=False):
    """How a generation was made; ``size`` is of images, ``voice`` and ``durationSeconds`` of speech."""

    provider: Required[Annotated[str, Described("Who made it.", examples=["pollinations"])]]
    model: Required[Annotated[str, Described("What made it.", examples=["flux"])]]
    size: Annotated[str, Described(examples=["1024x1024"])]
    voice: Annotated[str, Described(examples=["en"])]
    seed: Annotated[int, Described("The same seed, prompt and model make the same picture.", examples=[42])]
    latencyMs: Required[Annotated[int, Described("Milliseconds that the making took.", minimum=0, examples=[2310])]]
    contentType: Required[ContentType]
    bytes: Required[Bytes]
    durationSeconds: Annotated[float, Described(minimum=0, examples=[3.4])]
    fallbackFrom: Annotated[str, Described("The provider that was asked first and failed.")]
    fallbackReason: Annotated[str, Described("How it failed.", examples=["timeout"])]


class Links(TypedDict):
    """Where the generation and its download are."""

    self: Annotated[str, Described(examples=["/image/019ab7d2-51f3-7c1e-9a51-6f0d2b7c4e10"])]
    download: Annotated[str, Described(examples=["/image/019ab7d2-51f3-7c1e-9a51-6f0d2b7c4e10/download"])]


class Generation(TypedDict):
    """A generation as the API shows it."""

    id: Id
    service: ServiceName
    status: Status
    prompt: Annotated[str, Described(examples=["a red fox in snow"])]
    createdAt: Time
    userId: Annotated[str | None, Described("Whose it is; null when it was made anonymously.")]
    s3: Annotated[dict[str, str], Described("Keys in storage: `input`, `record`, and `image` or `audio`.")]
    meta: Meta
    links: Links


class InvalidRecord(ValueError):
    """The bytes are not a record of ours."""


# The parameters that ``meta`` of the API shows, where the record has them.
_SHOWN: Mapping[str, type | tuple[type, ...]] = {
    "size": str,
    "voice": str,
    "seed": int,
    "durationSeconds": (float, int),
    "fallbackFrom": str,
    "fallbackReason": str,
}
_TEXTS = ("id", "userId", "username", "service", "provider", "model", "prompt", "promptHash", "status", "createdAt")


def build(
    service: Service,
    record_id: str,
    *,
    caller: Identity | None,
    prompt: str,
    params: Mapping[str, Any],
    outcome: Outcome,
    latency_ms: int,
    input_bytes: int,
) -> Record:
    """The record of a finished generation; ``params`` are the request's own (size and seed, or voice)."""
    artifact = outcome.artifact
    made: dict[str, Any] = {
        "durationSeconds": artifact.duration_seconds,
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
        "prompt": prompt,
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
            isinstance(params[name], kind) for name, kind in _SHOWN.items() if name in params
        )
        extension = record["artifacts"][service.artifact].rpartition(".")[2]
        # Anybody who may read the record gets a signed URL of this key.
        own = record["artifacts"] == {service.artifact: keys.artifact_object(service, record_id, extension)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidRecord(f"not a record: {type(error).__name__}") from error
    if not (texts and known and owned and counted and shown and own and extension in CONTENT_TYPES):
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
    meta: Meta = {
        "provider": record["provider"],
        "model": record["model"],
        "latencyMs": record["latencyMs"],
        "contentType": content_type(service, record),
        "bytes": record["size"]["outputBytes"],
    }
    meta.update({name: params[name] for name in _SHOWN if name in params})  # type: ignore[typeddict-item]
    return {
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
    }


def links(service: Service, record_id: str) -> Links:
    """Where the API serves a generation."""
    return {"self": f"/{service.name}/{record_id}", "download": f"/{service.name}/{record_id}/download"}


def readable_by(record: Record, caller: Identity | None) -> bool:
    """Whether the caller may read it: an anonymous one whoever knows its id, a user's that user and admins."""
    if record["userId"] == keys.ANONYMOUS:
        return True
    return caller is not None and (caller.is_admin or caller.sub == record["userId"])
