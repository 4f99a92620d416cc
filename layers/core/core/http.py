"""The HTTP edge of every function: routing, validation, problem details, headers and one log line a request.

``Api`` is Powertools' REST resolver with the contract's common rules. A handler module makes one, says who may call
it, puts a route on it and exports it as ``handler``.
"""

import base64
import json
import os
import re
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response
from aws_lambda_powertools.event_handler.api_gateway import ApiGatewayResolver
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.typing import LambdaContext

from core import identity, limits, streaming
from core.client import ClientInfo
from core.errors import (
    BadRequest,
    FieldError,
    NotFound,
    PayloadTooLarge,
    ProblemError,
    TooManyRequests,
    Unauthorized,
    Unprocessable,
)
from core.identity import Identity
from core.limits import Allowance
from core.logging import logger

# The longest valid body is a prompt of 4,096 astral characters, each written as two escapes of six bytes: 49 KB.
MAX_BODY_BYTES = 64 * 1024
PROBLEM_JSON = "application/problem+json"
RATE_LIMIT_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
# U+FFFD, which decoders put where bytes are not of their encoding.
REPLACEMENT = "\ufffd"
_BYTE_ORDER_MARK = "\ufeff"
# Python reads no longer ones, and reading them takes the square of their length.
_MOST_DIGITS = sys.int_info.default_max_str_digits

# Who calls a route: nobody in particular, whatever is sent; whoever sends a token, or is anonymous; a user.
Caller = Callable[[Mapping[str, Any]], Identity | None]
OPTIONAL: Caller = identity.optional
REQUIRED: Caller = identity.required


Errors = Sequence[type[ProblemError]]
AnyCallableT = TypeVar("AnyCallableT", bound=Callable[..., Any])


def _anybody(_event: Mapping[str, Any]) -> None:
    return None


class Api(APIGatewayRestResolver):
    """A resolver that answers in JSON, errors as RFC 9457 problem details, ``X-Request-Id`` on everything."""

    def __init__(self, caller: Caller = _anybody) -> None:
        self._origin = os.environ.get("CORS_ORIGIN", "*")
        cors = CORSConfig(
            allow_origin=self._origin,
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
            expose_headers=["Location", *RATE_LIMIT_HEADERS, "Retry-After", "WWW-Authenticate", "X-Request-Id"],
        )
        super().__init__(enable_validation=True, cors=cors, serializer=_dumps, json_body_deserializer=_loads)
        self.who = caller
        self.errors: dict[tuple[str, str], Errors] = {}
        self._identity: Identity | None = None
        self._allowance: Allowance | None = None
        self._events: Iterator[str] = iter(())
        self._cold = True
        self.exception_handler(ProblemError)(_problem)
        self.exception_handler(RequestValidationError)(_invalid)
        self.not_found(lambda _error: _problem(NotFound("There is no such route.")))

    # What a route can answer beside what all of its kind can; the API's description is made from it.

    def get(self, rule: str, *, errors: Errors = (), **options: Any) -> Callable[[AnyCallableT], AnyCallableT]:  # type: ignore[override]
        """A GET route; ``errors`` are the problems that only it and its like can answer."""
        self.errors["GET", rule] = errors
        return super().get(rule, **options)

    def post(self, rule: str, *, errors: Errors = (), **options: Any) -> Callable[[AnyCallableT], AnyCallableT]:  # type: ignore[override]
        """A POST route, like ``get``."""
        self.errors["POST", rule] = errors
        return super().post(rule, **options)

    def delete(self, rule: str, *, errors: Errors = (), **options: Any) -> Callable[[AnyCallableT], AnyCallableT]:  # type: ignore[override]
        """A DELETE route, like ``get``."""
        self.errors["DELETE", rule] = errors
        return super().delete(rule, **options)

    @staticmethod
    def _compile_regex(rule: str, base_regex: str = "") -> re.Pattern[str]:
        r"""The paths of a route: all of a text, where Powertools lets any path end in slashes and a newline.

        Gateways decode paths, so those are an id's own: ``/image/{id}%0A`` and ``/image/{id}%2F`` name nothing.
        """
        compiled: re.Pattern[str] = ApiGatewayResolver._compile_regex(rule, r"^{}\Z" if "<" in rule else r"^{}/*\Z")
        return compiled

    @property
    def caller(self) -> Identity | None:
        """Who is calling; None is anonymous."""
        return self._identity

    @property
    def user(self) -> Identity:
        """Who is calling a protected route. Raises ``Unauthorized``."""
        if self._identity is None:
            raise Unauthorized("Send an access token: 'Authorization: Bearer <accessToken>'.")
        return self._identity

    @property
    def client(self) -> ClientInfo:
        """Where the request came from, as the gateway saw it."""
        return ClientInfo.from_event(self.current_event.raw_event)

    @property
    def caller_key(self) -> str:
        """What tells this caller from all others: a user's id, or the network of an anonymous one."""
        return _caller_key(self._identity, self.client)

    def stream(self, events: Iterator[str]) -> Response[str]:
        """200 with server-sent events (``core.streaming.event``), for a route to return.

        Each leaves at once, and comments keep the connection alive; where the gateway does not stream, the answer is
        all of them together. What should be problem details is raised before a route returns this.
        """
        # Powertools would copy an iterator into a list: ``resolve`` puts it in.
        self._events = events
        return Response(int(HTTPStatus.OK), streaming.EVENT_STREAM, "")

    @property
    def counted(self) -> bool:
        """Whether the request was counted; if not, limits are off or, failing open, out of order."""
        return self._allowance is not None

    def header(self, name: str) -> str | None:
        """A header of the request, whatever its case."""
        return identity.header(self.current_event.raw_event, name)

    def resolve(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answer one API Gateway event; never raises."""
        start = time.perf_counter()
        self._identity = self._allowance = None
        self._events = iter(())
        request_id = _request_id(event, context)
        with logger.append_context_keys(request_id=request_id):
            try:
                self._admit(event)
                response = super().resolve(_prepared(event), context)
                if response["multiValueHeaders"].get("Content-Type") == [streaming.EVENT_STREAM]:
                    response["body"] = self._events if streaming.is_available() else "".join(self._events)
            except ProblemError as error:
                response = self._bare(error)
            except Exception:
                logger.exception("unhandled error")
                response = self._bare(ProblemError("Something went wrong on our side. Quote the requestId to support."))
            self._finish(response, request_id)
            if event.get("httpMethod") == "HEAD":
                _leave_out_the_body(response)
            if streaming.is_streamed(response):
                response["body"] = self._leaving(response["body"], event, response, start, request_id)
            else:
                self._log(event, response, start)
        return response

    def _leaving(
        self,
        events: Iterator[str],
        event: Mapping[str, Any],
        response: Mapping[str, Any],
        start: float,
        request_id: str,
    ) -> Generator[str, None, None]:
        """The pieces of an answer, and its line in the log when the last one is out."""
        seen: dict[str, Any] = {}
        with logger.append_context_keys(request_id=request_id):
            try:
                for piece in streaming.keep_alive(events):
                    if piece != streaming.KEEP_ALIVE:
                        seen.setdefault("first_piece_ms", _milliseconds_since(start))
                    yield piece
            except Exception as error:
                seen["broken_off_by"] = type(error).__name__
                raise
            finally:
                self._log(event, response, start, **seen)

    def _admit(self, event: Mapping[str, Any]) -> None:
        """Find out who calls, and count the call: a bad token counts for the address that it came from.

        Raises ``Unauthorized``, ``TooManyRequests``, ``ServiceUnavailable``.
        """
        if event.get("httpMethod") == "OPTIONS":
            return
        refused: Unauthorized | None = None
        try:
            self._identity = self.who(event)
        except Unauthorized as error:
            refused = error
        key = _caller_key(self._identity, ClientInfo.from_event(event))
        self._allowance = limits.from_env().count(key, is_user=self._identity is not None)
        if self._allowance is not None and self._allowance.exceeded:
            raise TooManyRequests(
                "Too many requests: wait as long as Retry-After says.", retry_after=self._allowance.reset
            )
        if refused is not None:
            raise refused

    def _bare(self, error: ProblemError) -> dict[str, Any]:
        """The answer to a request that did not reach a route."""
        answer = _problem(error)
        headers = {name: [str(value)] for name, value in answer.headers.items()}
        return {
            "statusCode": answer.status_code,
            "body": answer.body,
            "isBase64Encoded": False,
            "multiValueHeaders": {"Content-Type": [PROBLEM_JSON], "Access-Control-Allow-Origin": [self._origin]}
            | headers,
        }

    def _finish(self, response: dict[str, Any], request_id: str) -> None:
        """Add what every answer carries: the request id, the rate limit, and no caching unless the route allows it."""
        response["statusCode"] = int(response["statusCode"])
        headers = response["multiValueHeaders"]
        headers["X-Request-Id"] = [request_id]
        headers["X-Content-Type-Options"] = ["nosniff"]
        headers.setdefault("Cache-Control", ["no-store"])
        if self._allowance is not None:
            headers.update({name: [value] for name, value in self._allowance.headers().items()})
        if headers.get("Content-Type") == [PROBLEM_JSON]:
            response["body"] = _dumps(json.loads(response["body"]) | {"requestId": request_id})

    def _log(self, event: Mapping[str, Any], response: Mapping[str, Any], start: float, **more: Any) -> None:
        logger.info(
            "request",
            method=event.get("httpMethod"),
            route=event.get("resource"),
            status=int(response["statusCode"]),
            duration_ms=_milliseconds_since(start),
            user_id=self._identity.sub if self._identity else "anonymous",
            cold_start=self._cold,
            **more,
        )
        self._cold = False


def _problem(error: ProblemError) -> Response[str]:
    """The error as RFC 9457 problem details; ``_finish`` adds the request id."""
    body: dict[str, object] = {
        "type": error.type,
        "title": error.title,
        "status": int(error.status),
        "detail": error.detail,
    }
    if error.errors:
        body["errors"] = [item._asdict() for item in error.errors]
    return Response(int(error.status), PROBLEM_JSON, _dumps(body | error.members), dict(error.headers))


def _invalid(error: RequestValidationError) -> Response[str]:
    return _problem(Unprocessable("The request is not valid: see errors.", errors=_field_errors(error.errors())))


def _field_errors(errors: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    return [FieldError(".".join(str(part) for part in item["loc"][1:]), _message(item)) for item in errors]


def _message(error: Mapping[str, Any]) -> str:
    """What pydantic says; of a text's length it speaks as of a list's when another check stands before it."""
    if error["type"] == "too_long" and isinstance(error["input"], str):
        return f"String should have at most {error['ctx']['max_length']} characters"
    message: str = error["msg"]
    return message.removeprefix("Value error, ")


def _leave_out_the_body(response: dict[str, Any]) -> None:
    """What answers HEAD: the headers of GET, the length of its body among them (RFC 9110 §9.3.2)."""
    response["multiValueHeaders"]["Content-Length"] = [str(len((response["body"] or "").encode()))]
    response["body"] = ""


def _prepared(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event as the resolver needs it: HEAD as GET, and the body read as JSON whatever its content type says.

    Raises ``PayloadTooLarge``, ``BadRequest``, ``Unprocessable``.
    """
    prepared = dict(event)
    if event.get("httpMethod") == "HEAD":
        prepared["httpMethod"] = "GET"
    if event.get("httpMethod") not in ("POST", "PUT", "PATCH"):
        return prepared
    body = _body(event)
    if len(body) > MAX_BODY_BYTES:
        raise PayloadTooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.")
    try:
        text = body.decode()
        document = _loads(text)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON. Send a JSON object in UTF-8.") from None
    # A gateway that hands over text has put U+FFFD where the bytes were not UTF-8, and does not say where it did.
    if REPLACEMENT in text and not event.get("isBase64Encoded"):
        raise BadRequest("The body is not UTF-8. To send the character U+FFFD itself, write it as \\ufffd.")
    # The resolver would take the first object of an array.
    if not isinstance(document, dict):
        raise Unprocessable("The request is not valid: see errors.", errors=[FieldError("", "Must be a JSON object.")])
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    return prepared | {
        "body": text,
        "isBase64Encoded": False,
        "headers": headers | {"content-type": "application/json"},
        "multiValueHeaders": None,
    }


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return body.encode(errors="surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:  # binascii.Error, or a text that is not ASCII
        raise BadRequest("The body is not valid base64.") from None


def _loads(text: str) -> Any:
    """JSON as RFC 8259 has it, a byte order mark before it passed over. Raises ValueError, RecursionError."""
    return json.loads(text.removeprefix(_BYTE_ORDER_MARK), parse_int=_integer, parse_constant=_no_number)


def _integer(digits: str) -> int:
    # What is longer is beyond every limit, cut or not.
    return int(digits[:_MOST_DIGITS])


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _request_id(event: Mapping[str, Any], context: LambdaContext) -> str:
    """The id that the gateway's own errors carry, too; the invocation's where there is none."""
    return str((event.get("requestContext") or {}).get("requestId") or context.aws_request_id)


def _caller_key(caller: Identity | None, client: ClientInfo) -> str:
    return f"user:{caller.sub}" if caller else f"address:{client.network}"


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _milliseconds_since(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 1)


def no_content() -> Response[None]:
    """204, without a body or a content type."""
    return Response(int(HTTPStatus.NO_CONTENT))
