"""GET /healthz: whether the platform answers; with ``deep=true``, whether it has what its users need."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Required

from typing_extensions import TypedDict

from core.description import Described
from core.errors import ServiceUnavailable
from core.http import Api
from core.logging import logger
from core.query import Flag

api = Api()

_RETRY_AFTER_SECONDS = 5


class Health(TypedDict, total=False):
    """The state of the whole and, when they were asked, of its parts."""

    status: Required[Annotated[str, Described(enum=["ok"])]]
    parts: Annotated[
        dict[str, str],
        Described(examples=[{"postgresql": "ok", "signingKeys": "ok", "s3": "ok", "dynamodb": "ok"}]),
    ]


@api.get("/healthz", operation_id="getHealth")
def health(deep: Flag = False) -> Health:
    """200 when all that was asked is well, otherwise 503 with each part's state.

    A part is ``down`` when it does not answer and when it lacks what the others need of it: migrations, keys, a bucket.
    """
    if not deep:
        return {"status": "ok"}
    checks = {"postgresql": _database, "signingKeys": _signing_keys, "s3": _storage}
    # Without limits nobody needs it.
    if os.environ.get("RATE_LIMIT_TABLE", "").strip():
        checks["dynamodb"] = _counters
    parts = {name: _state(name, check) for name, check in checks.items()}
    if set(parts.values()) != {"ok"}:
        raise ServiceUnavailable(
            "A part of the platform is down: see parts.", retry_after=_RETRY_AFTER_SECONDS, members={"parts": parts}
        )
    return {"status": "ok", "parts": parts}


def _state(name: str, check: Callable[[], str | None]) -> str:
    try:
        lacking = check()
    except ServiceUnavailable as error:
        lacking = error.detail
    if lacking:
        logger.warning("a part of the platform is down", part=name, detail=lacking)
        return "down"
    return "ok"


# Each tells what a part lacks, and raises ``ServiceUnavailable`` when it does not answer.


def _database() -> str | None:
    from accounts import database, migrate

    missing = migrate.missing(database.from_env())
    return f"the database lacks {', '.join(missing)}" if missing else None


def _signing_keys() -> str | None:
    """The private key that signs is there, and its public half among those that verify; nobody reads it for that."""
    from core.secrets import Secret

    public = {key["kid"] for key in json.loads(os.environ["JWKS"])["keys"]}
    if not public:
        return "the key set is empty"
    # A key's id is its version's.
    signing = Secret(os.environ["SIGNING_SECRET_ARN"]).current_version()
    return None if signing in public else "the key that signs is not among those that verify"


def _storage() -> str | None:
    from generation.services import found
    from generation.storage import open_bucket

    for service in found(Path(__file__).parents[1]):
        open_bucket(os.environ[f"{service.name.upper()}_BUCKET"]).reachable()
    return None


def _counters() -> str | None:
    # This very request was counted, or would have been.
    return None if api.counted else "the request was not counted"


handler = api
