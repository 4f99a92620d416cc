"""GET /healthz: whether the platform answers; with ``deep=true``, whether PostgreSQL and S3 do."""

import os
from collections.abc import Callable
from typing import Annotated, Required

from typing_extensions import TypedDict

from core.description import Described
from core.errors import ServiceUnavailable
from core.http import Api
from core.query import Flag

api = Api()


class Health(TypedDict, total=False):
    """The state of the whole and, when they were asked, of its parts."""

    status: Required[Annotated[str, Described(enum=["ok"])]]
    parts: Annotated[dict[str, str], Described(examples=[{"postgresql": "ok", "s3": "ok"}])]


@api.get("/healthz", operation_id="getHealth")
def health(deep: Flag = False) -> Health:
    """200 when all that was asked is well, otherwise 503 with each part's state."""
    if not deep:
        return {"status": "ok"}
    parts = {"postgresql": _state(_database), "s3": _state(_storage)}
    if set(parts.values()) != {"ok"}:
        raise ServiceUnavailable("A part of the platform is down: see parts.", retry_after=5, members={"parts": parts})
    return {"status": "ok", "parts": parts}


def _state(check: Callable[[], None]) -> str:
    try:
        check()
    except ServiceUnavailable:
        return "down"
    return "ok"


def _database() -> None:
    from accounts import database

    database.from_env().run(lambda cursor: cursor.execute("SELECT 1"))


def _storage() -> None:
    from generation.storage import open_bucket

    for name in ("IMAGE_BUCKET", "TTS_BUCKET"):
        open_bucket(os.environ[name]).reachable()


handler = api
