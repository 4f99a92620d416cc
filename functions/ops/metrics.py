"""GET /metrics: the counters of everybody for Prometheus, for whoever has the scrape token."""

import hmac
import json
import os
from functools import lru_cache

from core.errors import ServiceUnavailable, Unauthorized
from core.http import Api, Response
from core.secrets import Secret
from ops.openapi import committed

api = Api()


@lru_cache(maxsize=1)
def _token() -> Secret:
    return Secret(os.environ["SCRAPE_TOKEN_ARN"])


@lru_cache(maxsize=1)
def _version() -> str:
    return str(json.loads(committed())["info"]["version"])


@api.get(
    "/metrics",
    operation_id="getMetrics",
    answers={
        200: {
            "": "Counters and a histogram of latencies; no label tells of a user.",
            "text/plain": {"type": "string"},
            "application/openmetrics-text": {"type": "string"},
        }
    },
    errors=(Unauthorized, ServiceUnavailable),
)
def metrics() -> Response[str]:
    """200 with the counters in Prometheus' text format, or OpenMetrics where `Accept` asks for it; 401 without a token.

    The token is the scrape token of the stack, sent as a bearer; access tokens are none.
    """
    sent = api.header("authorization") or ""
    scheme, _, token = sent.partition(" ")
    # Whoever sends none needs no secret to be compared with.
    if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), _token().text().encode()):
        raise Unauthorized(
            "Send the scrape token of this stack: 'Authorization: Bearer <token>'.", token_sent=bool(sent)
        )
    # Late: whoever has no token needs none of it.
    from generation.usage import exposition
    from generation.usage.table import open_table

    found = exposition.totals(open_table(os.environ["USAGE_TABLE"]))
    open_metrics = exposition.is_open_metrics(api.header("accept") or "")
    text = exposition.expose(found, _version(), open_metrics=open_metrics)
    return Response(200, exposition.OPEN_METRICS if open_metrics else exposition.TEXT, text, {"Vary": "Accept"})


handler = api
