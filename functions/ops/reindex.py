"""Compare the history with the records, day by day, and repair it when asked to. Invoked by an operator.

``{"service": "image", "from": "2026-11-01", "to": "2026-11-22", "user": id?, "repair": true?, "graceSeconds": 10?}``
is answered by ``{"from", "to", "next", "records", "lines"}`` and, as lists of ids, ``"missing", "doubled", "orphaned",
"differing", "unreadable"``; ``next`` is the day to go on with when the time did not suffice, or null.
"""

import os
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Self

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from core.logging import logger
from generation.repair import GRACE, Auditor, Findings
from generation.services import found
from generation.storage import open_bucket

# Another day is begun only when this much of the function's time is left, and twice what the longest one has taken.
LEAST_MILLISECONDS = 120_000
SERVICES = {service.name: service for service in found(Path(__file__).parents[1])}


def _known(name: str) -> str:
    if name not in SERVICES:
        raise ValueError(f"must be one of {', '.join(SERVICES)}")
    return name


class Order(BaseModel):
    """What to compare, and whether to repair it."""

    model_config = ConfigDict(extra="forbid")

    service: Annotated[str, AfterValidator(_known)]
    first: Annotated[date, Field(alias="from")]
    last: Annotated[date, Field(alias="to")]
    user: Annotated[str, Field(pattern=r"^(anonymous|[0-9a-f-]{36})$")] | None = None
    repair: bool = False
    grace: Annotated[float, Field(alias="graceSeconds", ge=0)] = GRACE.total_seconds()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first > self.last:
            raise ValueError("'from' must not be after 'to'")
        return self


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Audit the days of the order, the first one whatever the time, the others while there is time."""
    order = Order.model_validate(event)
    service = SERVICES[order.service]
    bucket = open_bucket(os.environ[f"{service.name.upper()}_BUCKET"])
    auditor = Auditor(service, bucket, grace=timedelta(seconds=order.grace))
    whole = Findings()
    longest = 0
    for number in range((order.last - order.first).days + 1):
        before = context.get_remaining_time_in_millis()
        day = order.first + timedelta(days=number)
        findings = auditor.audit(day, user_id=order.user, repair=order.repair)
        logger.info("audited", service=service.name, day=str(day), records=findings.records, clean=findings.is_clean)
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
