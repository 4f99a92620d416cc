"""What all functions share in the document: headers, and what each status of an error is answered with."""

import inspect
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

from core import errors
from core.errors import ProblemError
from core.http import MAX_BODY_BYTES, PROBLEM_JSON

Json = dict[str, Any]

REQUEST_ID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
SECURITY = {"accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
PROBLEM = {
    "description": "What went wrong (RFC 9457); some problems have members of their own.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "requestId"],
    "properties": {
        "type": {
            "description": "Names the kind of problem, for programs.",
            "type": "string",
            "format": "uri",
            "pattern": "^urn:llm-microservices:problem:[a-z-]+$",
        },
        "title": {"description": "The words of the status.", "type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"description": "What to do about it, for people.", "type": "string"},
        "requestId": {"description": "Quote it to support.", "type": "string"},
        "errors": {
            "description": "What is wrong with the request, field by field.",
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {
                    "field": {"description": "A path with dots; empty for the whole body.", "type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}


def _header(description: str, *, required: bool = True, **schema: object) -> Json:
    return {"description": description, "required": required, "schema": {"type": "string"} | schema}


def _count(description: str) -> Json:
    return _header(f"{description} Only while limits are on.", required=False, type="integer", minimum=0)


HEADERS = {
    "X-Request-Id": _header("Names this request; quote it to support."),
    "Cache-Control": _header("`no-store`, unless the answer is the same for everybody.", examples=["no-store"]),
    "RateLimit-Limit": _count("How many such requests you may send in a minute."),
    "RateLimit-Remaining": _count("How many of them are left."),
    "RateLimit-Reset": _count("Seconds until the minute is over."),
    "Location": _header("Where it is.", format="uri-reference"),
    "Retry-After": _header("Seconds to wait before you try again.", type="integer", minimum=1, examples=[5]),
    "WWW-Authenticate": _header("The challenge of RFC 6750.", pattern="^Bearer", examples=["Bearer"]),
}
EVERY_ANSWER = ("X-Request-Id", "Cache-Control", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
HEADERS_OF_STATUS = {
    HTTPStatus.FOUND: ("Location",),
    HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
    HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After",),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",),
}
# What some problems tell a caller; the others say what their class does.
DETAILS: dict[type[ProblemError], str] = {
    errors.BadRequest: "The body is not JSON. Send a JSON object in UTF-8.",
    errors.Unauthorized: "The access token is not valid. Log in, or refresh it, and send the new one.",
    errors.NotFound: "There is no such image, or it is not yours.",
    errors.Conflict: "This email is already registered; log in, or use another one.",
    errors.PayloadTooLarge: f"The body is larger than {MAX_BODY_BYTES} bytes.",
    errors.Unprocessable: "The request is not valid: see errors.",
    errors.TooManyRequests: "Too many requests: wait as long as Retry-After says.",
    errors.BadGateway: "No provider could serve the request: pollinations (status 503). Try again later.",
    errors.GatewayTimeout: "No provider could serve the request: pollinations (timeout). Try again later.",
}


def headers_of(names: Iterable[str]) -> Json:
    """The headers of these names, as an answer refers to them."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def kinds() -> list[type[ProblemError]]:
    """The class of each status that ``core.errors`` names, without those that only a method or a bug leads to."""
    own = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, ProblemError)]
    return [kind for kind in own if "status" in vars(kind) and kind not in (ProblemError, errors.MethodNotAllowed)]


def kind_of(status: HTTPStatus) -> type[ProblemError]:
    """The class of a status."""
    (kind,) = (kind for kind in kinds() if kind.status == status)
    return kind


def response_of(kind: type[ProblemError]) -> Json:
    """The answer of a status, with an example of each problem that has it."""
    headers = headers_of([*EVERY_ANSWER, *HEADERS_OF_STATUS.get(kind.status, ())])
    if kind is errors.Conflict:
        # While the first request with an Idempotency-Key is being answered.
        headers["Retry-After"] = HEADERS["Retry-After"] | {"required": False}
    return {
        "description": _first_line(kind),
        "headers": headers,
        "content": {
            PROBLEM_JSON: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {each.slug: {"value": _example(each)} for each in _family(kind) if "slug" in vars(each)},
            }
        },
    }


def _family(kind: type[ProblemError]) -> Iterator[type[ProblemError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _family(narrower)


def _example(kind: type[ProblemError]) -> Json:
    example: Json = {
        "type": f"urn:llm-microservices:problem:{kind.slug}",
        "title": kind.title,
        "status": int(kind.status),
        "detail": DETAILS.get(kind, _first_line(kind)),
        "requestId": REQUEST_ID,
    }
    if kind is errors.Unprocessable:
        example["errors"] = [{"field": "prompt", "message": "Field required"}]
    return example


def _first_line(kind: type[ProblemError]) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0].replace("``", "`")
