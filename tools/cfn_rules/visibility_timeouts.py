"""A message stays hidden for as long as a function may work on it, retries included."""

from __future__ import annotations

from tools.cfn_rules import _rule
from tools.cfn_rules._triggers import queue_sources

_TIMES = 6  # what AWS advises: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
_DEFAULT_VISIBILITY = 30
_DEFAULT_TIMEOUT = 3


class VisibilityTimeout(_rule.Rule):
    """A message that comes back while it is being processed is processed twice."""

    id = "E9007"
    shortdesc = "The visibility timeout of a source queue is six times the function's timeout"
    description = "VisibilityTimeout of a queue that triggers a function is at least six times the function's Timeout"
    tags = ("lambda", "sqs")

    def problems(self, resources: _rule.Resources) -> _rule.Problems:
        """Queues whose messages come back too early."""
        for polled, queue in queue_sources(resources):
            if polled.function not in resources:
                continue
            timeout = resources[polled.function].get("Properties", {}).get("Timeout", _DEFAULT_TIMEOUT)
            visibility = queue.get("VisibilityTimeout", _DEFAULT_VISIBILITY)
            where = ("Resources", polled.source)
            if not isinstance(timeout, int) or not isinstance(visibility, int):
                yield where, f"Write Timeout of {polled.function} and VisibilityTimeout of {polled.source} as numbers"
            elif visibility < _TIMES * timeout:
                yield (
                    where,
                    f"{polled.source} hides a message for {visibility} s and {polled.function} may take {timeout} s: "
                    f"raise VisibilityTimeout to {_TIMES * timeout}",
                )
