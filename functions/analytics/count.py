"""Count, once each, what the queue of usage tells of: records that arrived or went, and calls that failed."""

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from generation.indexing import BatchResponse
from generation.usage import counting
from generation.usage.counting import Source
from generation.usage.table import open_table


@lru_cache(maxsize=1)
def _sources() -> Mapping[str, Source]:
    return counting.sources(Path(__file__).parents[1], os.environ)


def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Count a batch; the messages that failed are delivered again."""
    return counting.count(
        _sources(), open_table(os.environ["USAGE_TABLE"]), event, context.get_remaining_time_in_millis()
    )
