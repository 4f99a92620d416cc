"""Compare usage with the records, day by day, and count anew when asked to. Invoked by an operator.

``{"from": "2026-11-01", "to": "2026-11-22", "repair": true?}`` is answered by ``{"from", "to", "next", "records"}``
and, as lists, ``"missing", "differing", "unreadable", "rows", "busy"`` (``generation.usage.recount``); ``next`` is the
day to go on with when the time did not suffice, or null.
"""

import os
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.logging import logger
from generation.providers import Deadline
from generation.usage import counting
from generation.usage.recount import Findings, Recount
from generation.usage.table import open_table

# Another day is begun only when this much of the function's time is left, and twice what the longest one has taken.
LEAST_MILLISECONDS = 120_000


class Order(BaseModel):
    """Which days to compare, and whether to count anew."""

    model_config = ConfigDict(extra="forbid")

    first: Annotated[date, Field(alias="from")]
    last: Annotated[date, Field(alias="to")]
    repair: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first > self.last:
            raise ValueError("'from' must not be after 'to'")
        return self


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Compare the days of the order, the first one whatever the time, the others while there is time."""
    order = Order.model_validate(event)
    recount = Recount(
        tuple(counting.sources(Path(__file__).parents[1], os.environ).values()), open_table(os.environ["USAGE_TABLE"])
    )
    whole = Findings()
    longest = 0
    for number in range((order.last - order.first).days + 1):
        before = context.get_remaining_time_in_millis()
        day = order.first + timedelta(days=number)
        findings = recount.day(day, Deadline(before / 1000 - 30), repair=order.repair)
        logger.info("recounted", day=str(day), records=findings.records, clean=findings.is_clean)
        whole += findings
        remaining = context.get_remaining_time_in_millis()
        longest = max(longest, before - remaining)
        if remaining < max(LEAST_MILLISECONDS, 2 * longest):
            break
    return {
        "from": str(order.first),
        "to": str(day),
        "next": str(day + timedelta(days=1)) if day < order.last else None,
        **asdict(whole),
    }
