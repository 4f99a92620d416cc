"""By a schedule: deletes sessions that ended and counts of failed logins that are forgotten."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from accounts import database, purge
from core import times
from core.logging import logger

# What one batch may take; no batch is begun with less time than this left.
BATCH_SECONDS = 10.0
LEAST_MILLISECONDS = 12_000


def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int | bool]:
    """Delete in batches while there is time; what is left is for the next run."""
    purged = purge.purge(
        database.from_env(seconds=BATCH_SECONDS),
        times.now(),
        lambda: context.get_remaining_time_in_millis() >= LEAST_MILLISECONDS,
    )
    logger.info("purged", sessions=purged.sessions, login_failures=purged.login_failures, complete=purged.complete)
    return {"sessions": purged.sessions, "loginFailures": purged.login_failures, "complete": purged.complete}
