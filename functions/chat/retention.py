"""By a schedule: has sessions removed that have no star and were not used for as many days as the stack says."""

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from core import settings, times
from generation.chat import removal
from generation.chat.sessions import open_sessions


def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Hand them to the queue, and those whose removal began long ago and did not end."""
    days = settings.integer(os.environ, "CHAT_RETENTION_DAYS", 0, least=0, most=36_500)
    return {"sessions": removal.sweep(open_sessions(), removal.from_env(), days=days, now=times.now())}
