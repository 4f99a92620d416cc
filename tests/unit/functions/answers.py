"""Call a handler as a gateway does, and read its answer as a client does."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from core import streaming
from tests import events
from tests.events import Event

# The contract's words for a status, on every Python.
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Request Entity Too Large",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclass(frozen=True)
class Answer:
    """What a client would see. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)

    def problem(self, status: int) -> dict[str, Any]:
        """The body of an error, after checking that it is problem details of this status (RFC 9457)."""
        assert self.status == status, (self.status, self.body)
        assert self.headers["content-type"] == "application/problem+json"
        problem: dict[str, Any] = self.json
        assert set(problem) - {"errors", "parts"} == {"type", "title", "status", "detail", "requestId"}
        assert (problem["status"], problem["title"]) == (status, TITLES[status])
        assert problem["type"].startswith("urn:llm-microservices:problem:")
        assert problem["requestId"] == self.headers["x-request-id"]
        assert problem["detail"]
        assert isinstance(problem["detail"], str)
        for error in problem.get("errors", []):
            assert set(error) == {"field", "message"}
            assert error["message"]
        if status in (429, 503):
            assert int(self.headers["retry-after"]) > 0
        if status == 401:
            assert self.headers["www-authenticate"].startswith("Bearer")
        return problem

    def wrong_fields(self) -> set[str]:
        """The names of the fields that a 422 complains of."""
        return {error["field"] for error in self.problem(422)["errors"]}


def ask(function: ModuleType, event: Event) -> Answer:
    """Give a function an event and check what every answer must have."""
    # A gateway sends JSON and reads JSON.
    event = json.loads(json.dumps(event))
    answer = function.handler(event, events.Context())
    response = json.loads(json.dumps(streaming.whole(answer) if streaming.is_streamed(answer) else answer))
    assert set(response) == {"statusCode", "body", "isBase64Encoded", "multiValueHeaders"}
    assert response["isBase64Encoded"] is False
    headers = {}
    for name, values in response["multiValueHeaders"].items():
        assert all(isinstance(value, str) for value in values)
        headers[name.lower()] = ", ".join(values)
    assert headers["x-request-id"] == event["requestContext"]["requestId"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "cache-control" in headers
    assert isinstance(response["statusCode"], int)
    body = response["body"] or ""
    body.encode()
    return Answer(response["statusCode"], headers, body)
