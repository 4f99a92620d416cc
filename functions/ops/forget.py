"""Remove an account and all that there is of it, or say what that would be. Invoked by an operator.

``{"user": "an id or address", "remove": true?}`` is answered by ``{"userId", "email", "sessions", "calls", "objects",
"items", "days", "removed"}``; ``removed`` is false when nothing was to be removed, or the time did not suffice: ask
again. Totals of everybody stay. May be repeated, by its id also when the account is gone.
"""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field

from accounts import database, removal
from core.logging import logger
from generation.forgetting import Forgetting
from generation.providers import Deadline
from generation.usage import counting
from generation.usage.table import open_table

_RESERVE_SECONDS = 60


class Order(BaseModel):
    """Whom to forget, and whether to do it."""

    model_config = ConfigDict(extra="forbid")

    user: str = Field(min_length=3, max_length=320)
    remove: bool = False


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Say what there is and, when asked to, remove it: the account last, so that its address finds it until then."""
    order = Order.model_validate(event)
    accounts = database.from_env()
    found = removal.find(accounts, order.user)
    if found is None:
        return {"userId": None, "removed": False}
    sources = tuple(counting.sources(Path(__file__).parents[1], os.environ).values())
    forgetting = Forgetting(
        found.user_id,
        sources,
        open_table(os.environ["USAGE_TABLE"]),
        boto3.client("dynamodb"),
        [name for name in (os.environ["IDEMPOTENCY_TABLE"], os.environ.get("RATE_LIMIT_TABLE", "")) if name],
        [os.environ[name] for source in sources if (name := source.service.user_table)],
    )
    belongings = forgetting.find()
    removed = False
    if order.remove:
        removal.end_sessions(accounts, found.user_id)
        removed = forgetting.remove(Deadline(context.get_remaining_time_in_millis() / 1000 - _RESERVE_SECONDS))
        if removed:
            removal.remove(accounts, found)
        logger.info("forgot", user_id=found.user_id, complete=removed)
    answer = {"userId": found.user_id, "email": found.email, "sessions": found.sessions, "removed": removed}
    return answer | asdict(belongings) | {"calls": sum(map(len, belongings.calls.values()))}
