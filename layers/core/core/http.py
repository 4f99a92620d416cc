"""The HTTP edge of every function: routing, validation, problem details, headers and one log line a request.

``Api`` is Powertools' REST resolver with the contract's common rules. A handler module makes one, puts a route
on it and exports it as ``handler``.
"""

import base64
import json
import os
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, CORSConfig, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.typing import LambdaContext

from core import identity
from core.client import ClientInfo
from core.errors import BadRequest, FieldError, NotFound, PayloadTooLarge, ProblemError, Unprocessable
from core.identity import Identity
from core.logging import logger

# The longest valid body is a prompt of 4,096 astral characters, each written as two escapes of six bytes: 49 KB.
MAX_BODY_BYTES = 64 * 1024
PROBLEM_JSON = "application/problem+json"


class Api(APIGatewayRestResolver):
    """A resolver that answers in JSON, errors as RFC 9457 problem details, ``X-Request-Id`` on everything."""

    def __init__(self) -> None:
        self._origin = os.environ.get("CORS_ORIGIN", "*")
        cors = CORSConfig(
            allow_origin=self._origin,
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Location", "Retry-After", "WWW-Authenticate", "X-Request-Id"],
        )
        super().__init__(enable_validation=True, cors=cors, serializer=_dumps)
        self._identity: Identity | None = None
        self._cold = True
        self.exception_handler(ProblemError)(_problem)
        self.exception_handler(RequestValidationError)(_invalid)
        self.not_found(lambda _error: _problem(NotFound("There is no such route.")))

    def caller(self) -> Identity | None:
        """Who is calling an open route; None is anonymous. Raises ``Unauthorized`` for a bad token."""
        self._identity = identity.optional(self.current_event.raw_event)
        return self._identity

    def user(self) -> Identity:
        """Who is calling a protected route. Raises ``Unauthorized``."""
        self._identity = identity.required(self.current_event.raw_event)
        return self._identity

    def client(self) -> ClientInfo:
        """Where the request came from, as the gateway saw it."""
        source = (self.current_event.raw_event.get("requestContext") or {}).get("identity") or {}
        return ClientInfo(ip=source.get("sourceIp"), user_agent=source.get("userAgent"))

    def resolve(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answer one API Gateway event; never raises."""
        start = time.perf_counter()
        self._identity = None
        request_id = _request_id(event, context)
        with logger.append_context_keys(request_id=request_id):
            try:
                response = super().resolve(_prepared(event), context)
            except ProblemError as error:
                response = self._bare(error)
            except Exception:
                logger.exception("unhandled error")
                response = self._bare(ProblemError("Something went wrong on our side. Quote the requestId to support."))
            _finish(response, request_id)
            self._log(event, response, start)
        return response

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

    def _log(self, event: Mapping[str, Any], response: Mapping[str, Any], start: float) -> None:
        logger.info(
            "request",
            method=event.get("httpMethod"),
            route=event.get("resource"),
            status=int(response["statusCode"]),
            duration_ms=round((time.perf_counter() - start) * 1000, 1),
            user_id=self._identity.sub if self._identity else "anonymous",
            cold_start=self._cold,
        )
        self._cold = False


def _problem(error: ProblemError) -> Response[str]:
    """The error as RFC 9457 problem details; ``_finish`` adds the request id."""
    body: dict[str, object] = {
        "type": error.type,
        "title": error.status.phrase,
        "status": int(error.status),
        "detail": error.detail,
    }
    if error.errors:
        body["errors"] = [item._asdict() for item in error.errors]
    return Response(int(error.status), PROBLEM_JSON, _dumps(body | error.members), dict(error.headers))


def _invalid(error: RequestValidationError) -> Response[str]:
    return _problem(Unprocessable("The request is not valid: see errors.", errors=_field_errors(error.errors())))


def _field_errors(errors: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    return [
        FieldError(".".join(str(part) for part in item["loc"][1:]), item["msg"].removeprefix("Value error, "))
        for item in errors
    ]


def _prepared(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event as the resolver needs it: the body read as JSON whatever its content type says.

    Raises ``PayloadTooLarge``, ``BadRequest``, ``Unprocessable``.
    """
    prepared = dict(event)
    if event.get("httpMethod") not in ("POST", "PUT", "PATCH"):
        return prepared
    body = _body(event)
    if len(body) > MAX_BODY_BYTES:
        raise PayloadTooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.")
    try:
        text = body.decode()
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON. Send a JSON object in UTF-8.") from None
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


def _request_id(event: Mapping[str, Any], context: LambdaContext) -> str:
    """The id that the gateway's own errors carry, too; the invocation's where there is none."""
    return str((event.get("requestContext") or {}).get("requestId") or context.aws_request_id)


def _finish(response: dict[str, Any], request_id: str) -> None:
    """Add what every answer carries: the request id, and no caching unless the route allows it."""
    response["statusCode"] = int(response["statusCode"])
    headers = response["multiValueHeaders"]
    headers["X-Request-Id"] = [request_id]
    headers["X-Content-Type-Options"] = ["nosniff"]
    headers.setdefault("Cache-Control", ["no-store"])
    if headers.get("Content-Type") == [PROBLEM_JSON]:
        response["body"] = _dumps(json.loads(response["body"]) | {"requestId": request_id})


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def no_content() -> Response[None]:
    """204, without a body or a content type."""
    return Response(int(HTTPStatus.NO_CONTENT))
