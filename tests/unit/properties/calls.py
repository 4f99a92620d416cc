"""Call a handler with an event that no gateway would write quite so, and check what every answer has."""

import importlib
import json
from types import ModuleType

from hypothesis import settings

from tests import events
from tests.events import Event
from tests.unit.functions.answers import Answer

# The same examples each time, as many as pay: a find is kept as a test of its own.
QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)
FEW = settings(QUICK, max_examples=30)


def function(module: str) -> ModuleType:
    """The module of a handler, such as ``auth.login``."""
    return importlib.import_module(module)


def call(module: str, event: Event) -> Answer:
    """The answer to an event: JSON or a page of ours, with a request id, and no 5xx."""
    response = json.loads(json.dumps(function(module).handler(event, events.Context())))
    headers = {name.lower(): ", ".join(values) for name, values in response["multiValueHeaders"].items()}
    answer = Answer(response["statusCode"], headers, response["body"] or "")
    answer.body.encode()
    assert headers["x-request-id"]
    assert answer.status < 500, (answer.status, answer.body)
    if event.get("httpMethod") == "HEAD":
        assert not answer.body
    elif answer.status >= 400:
        answer.problem(answer.status)
    elif headers.get("content-type") == "application/json":
        assert answer.json is not None
    elif headers.get("content-type") == "text/event-stream":
        assert answer.body.startswith("event: start\n")
    else:
        assert not answer.body or headers["content-type"].startswith("text/html")
    return answer
