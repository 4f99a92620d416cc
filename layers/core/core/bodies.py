"""Requests with a body: read as JSON whatever their content type says, validated by Powertools' resolver.

The resolver sees a validated call and nothing else: what the route answers goes past it.
"""

import base64
import functools
import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.typing import LambdaContext

from core.errors import BadRequest, FieldError, PayloadTooLarge, Unprocessable
from core.http import Route

# U+FFFD, which decoders put where bytes are not of their encoding.
REPLACEMENT = "\ufffd"
_BYTE_ORDER_MARK = "\ufeff"
# Python reads no longer ones, and reading them takes the square of their length.
_MOST_DIGITS = sys.int_info.default_max_str_digits


class Bodies:
    """The routes of a function whose requests have a body."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._answer: Any = None
        self._error: Exception | None = None
        self._arguments: Sequence[str] = ()
        self._admitted: Callable[[], None] = lambda: None
        self.resolver = APIGatewayRestResolver(enable_validation=True, json_body_deserializer=loads)
        self.resolver.exception_handler(RequestValidationError)(_invalid)

    def add(self, route: Route) -> None:
        """Let the resolver validate what the route's function takes, and call it."""
        function = route.function

        @functools.wraps(function)
        def validated(**values: Any) -> None:
            try:
                self._admitted()
                self._answer = function(*self._arguments, **values)
            except Exception as error:
                # The resolver would write a traceback to the log, also of what a caller is meant to see.
                self._error = error

        signature = inspect.signature(function)
        arguments = list(signature.parameters.values())[len(route.parameters) :]
        validated.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=arguments, return_annotation=None
        )
        validated.__annotations__ = {one.name: one.annotation for one in arguments} | {"return": None}
        self.resolver.route(literal(route.path), method=route.method)(validated)

    def call(
        self,
        route: Route,
        event: Mapping[str, Any],
        context: LambdaContext,
        arguments: Sequence[str],
        admitted: Callable[[], None],
    ) -> Any:
        """What the route's function returns for the event; ``arguments`` are the values in its path.

        ``admitted`` is called between validation and the function, and raises where that is not to be called. Raises
        ``PayloadTooLarge``, ``BadRequest``, ``Unprocessable``, and what those two do.
        """
        self._arguments, self._admitted = arguments, admitted
        prepared = self._prepared(event) | {"path": literal(route.path), "httpMethod": route.method}
        try:
            self.resolver.resolve(prepared, context)
            if self._error is not None:
                raise self._error
            return self._answer
        finally:
            self._answer = self._error = None

    def _prepared(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The event as the resolver needs it."""
        body = _bytes(event)
        if len(body) > self._max_bytes:
            raise PayloadTooLarge(f"The body is larger than {self._max_bytes} bytes.")
        try:
            text = body.decode()
            document = loads(text)
        except (ValueError, RecursionError):
            raise BadRequest("The body is not JSON. Send a JSON object in UTF-8.") from None
        # A gateway that hands over text has put U+FFFD where the bytes were not UTF-8, and does not say where it did.
        if REPLACEMENT in text and not event.get("isBase64Encoded"):
            raise BadRequest("The body is not UTF-8. To send the character U+FFFD itself, write it as \\ufffd.")
        # The resolver would take the first object of an array.
        if not isinstance(document, dict):
            raise Unprocessable(
                "The request is not valid: see errors.", errors=[FieldError("", "Must be a JSON object.")]
            )
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        return dict(event) | {
            "body": text,
            "isBase64Encoded": False,
            "headers": headers | {"content-type": "application/json"},
            "multiValueHeaders": None,
            "queryStringParameters": None,
            "multiValueQueryStringParameters": None,
        }


def loads(text: str) -> Any:
    """JSON as RFC 8259 has it, a byte order mark before it passed over. Raises ValueError, RecursionError."""
    return json.loads(text.removeprefix(_BYTE_ORDER_MARK), parse_int=_integer, parse_constant=_no_number)


def _integer(digits: str) -> int:
    # What is longer is beyond every limit, cut or not.
    return int(digits[:_MOST_DIGITS])


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _bytes(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return body.encode(errors="surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:  # binascii.Error, or a text that is not ASCII
        raise BadRequest("The body is not valid base64.") from None


def literal(path: str) -> str:
    """A path without parameters: the gateway has found the route, and a resolver need not find it again."""
    return path.replace("{", "").replace("}", "")


def _invalid(error: RequestValidationError) -> Any:
    wrong = [FieldError(".".join(str(part) for part in item["loc"][1:]), message_of(item)) for item in error.errors()]
    raise Unprocessable("The request is not valid: see errors.", errors=wrong)


def message_of(error: Mapping[str, Any]) -> str:
    """What pydantic says; of a text's length it speaks as of a list's when another check stands before it."""
    if error["type"] == "too_long" and isinstance(error["input"], str):
        return f"String should have at most {error['ctx']['max_length']} characters"
    message: str = error["msg"]
    return message.removeprefix("Value error, ")
