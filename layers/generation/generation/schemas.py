"""What the API's description says of a service's generations: a schema of its own for each service.

Only the description needs it: nothing that is answered is checked against it.
"""

from functools import lru_cache
from typing import Annotated, Any, Required

from typing_extensions import TypedDict

from core.description import Described
from generation.records import LINE_PROMPT_CHARACTERS
from generation.services import Service
from generation.storage import SIGNED_URL_SECONDS

Id = Annotated[str, Described("UUIDv7.", format="uuid", examples=["019ab7d2-51f3-7c1e-9a51-6f0d2b7c4e10"])]
Time = Annotated[str, Described("RFC 3339, UTC.", format="date-time", examples=["2026-11-22T13:30:00.123Z"])]
Status = Annotated[str, Described(enum=["completed"])]
Bytes = Annotated[int, Described("Size of the artifact.", minimum=1, examples=[54216])]
NextCursor = Annotated[str | None, Described("The `cursor` of the next page; null at the end.")]


@lru_cache
def generation(service: Service) -> Any:
    """A generation of the service as the API shows it."""
    return _typed(
        service.schema,
        "A generation as the API shows it.",
        id=Id,
        service=_name(service),
        status=Status,
        prompt=Annotated[str, Described(examples=[str(next(iter(service.sample.values())))])],
        createdAt=Time,
        userId=Annotated[str | None, Described("Whose it is; null when it was made anonymously.")],
        s3=Annotated[dict[str, str], Described(f"Keys in storage: `input`, `record`, and `{service.artifact}`.")],
        meta=_meta(service),
        links=links(service),
        **service.told,
    )


@lru_cache
def links(service: Service) -> Any:
    """Where a generation and its download are."""
    path = f"/{service.name}/019ab7d2-51f3-7c1e-9a51-6f0d2b7c4e10"
    return _typed(
        f"{service.schema}Links",
        "Where the generation and its download are.",
        self=Annotated[str, Described(examples=[path])],
        download=Annotated[str, Described(examples=[f"{path}/download"])],
    )


@lru_cache
def page(service: Service) -> Any:
    """A page of a history of the service."""
    item = _typed(
        f"{service.schema}Item",
        "A line of the history with its links.",
        id=Id,
        createdAt=Time,
        service=_name(service),
        provider=Annotated[str, Described(examples=[service.chain[0]])],
        model=Annotated[str, Described("What made it.")],
        prompt=Annotated[str, Described(f"Its first {LINE_PROMPT_CHARACTERS} characters.")],
        status=Status,
        contentType=_content_type(service),
        bytes=Bytes,
        record=Annotated[str, Described("Key of the record in storage.")],
        links=links(service),
    )
    return _typed(
        f"{service.schema}Items",
        "A page of the history, newest first; `nextCursor` is null at the end.",
        items=list[item],  # type: ignore[valid-type]
        nextCursor=NextCursor,
    )


@lru_cache
def download(service: Service) -> Any:
    """Where an artifact's bytes are."""
    return _typed(
        f"{service.schema}Download",
        "Where an artifact's bytes are, for how many seconds, and what they are.",
        url=Annotated[str, Described("A signed URL; no token goes with it.", format="uri")],
        expiresIn=Annotated[int, Described("Seconds that it is good for.", minimum=1, examples=[SIGNED_URL_SECONDS])],
        contentType=_content_type(service),
    )


def _meta(service: Service) -> Any:
    return _typed(
        f"{service.schema}Meta",
        "How the generation was made.",
        total=False,
        provider=Required[Annotated[str, Described("Who made it.", examples=[service.chain[0]])]],
        model=Required[Annotated[str, Described("What made it.")]],
        **service.shown,
        latencyMs=Required[Annotated[int, Described("Milliseconds that the making took.", minimum=0, examples=[2310])]],
        contentType=Required[_content_type(service)],
        bytes=Required[Bytes],
        fallbackFrom=Annotated[str, Described("The provider that was asked first and failed.")],
        fallbackReason=Annotated[str, Described("How it failed.", examples=["timeout"])],
    )


def _name(service: Service) -> Any:
    return Annotated[str, Described(enum=[service.name])]


def _content_type(service: Service) -> Any:
    return Annotated[str, Described(enum=sorted(service.content_types))]


def _typed(name: str, description: str, *, total: bool = True, **fields: Any) -> Any:
    made = TypedDict(name, fields, total=total)  # type: ignore[misc]
    made.__doc__ = description
    return made
