"""GET /healthz: whether the platform answers; with ``deep=true``, whether it has what its users need."""

import os
from collections.abc import Callable
from typing import Annotated, Required

from typing_extensions import TypedDict

from core.description import Described
from core.errors import ServiceUnavailable
from core.http import Api
from core.logging import logger
from core.query import Flag
from ops import parts

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
    checks = {"postgresql": parts.database, "signingKeys": parts.signing_keys, "s3": parts.storage}
    # Without limits nobody needs it.
    if os.environ.get("RATE_LIMIT_TABLE", "").strip():
        checks["dynamodb"] = _counters
    states = {name: _state(name, check) for name, check in checks.items()}
    if set(states.values()) != {"ok"}:
        raise ServiceUnavailable(
            "A part of the platform is down: see parts.", retry_after=_RETRY_AFTER_SECONDS, members={"parts": states}
        )
    return {"status": "ok", "parts": states}


def _counters() -> str | None:
    # This very request was counted, or would have been.
    return None if api.counted else "the request was not counted"


def _state(name: str, check: Callable[[], str | None]) -> str:
    try:
        lacking = check()
    except ServiceUnavailable as error:
        lacking = error.detail
    if lacking:
        logger.warning("a part of the platform is down", part=name, detail=lacking)
        return "down"
    return "ok"


handler = api
