"""The HTTP edge of every function: who calls, limits, problem details, headers and one log line a request.

A handler module makes an ``Api``, says who may call it, puts a route on it and exports it as ``handler``. The gateway
has found the route already, so answering a read takes a look into a dictionary; what has a body is validated by
Powertools' resolver (``core.bodies``), which nothing else imports.
"""

import json
import os
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import unquote

from core import aws, identity, limits, query, streaming
from core.client import ClientInfo
from core.errors import NotFound, ProblemError, TooManyRequests, Unauthorized
from core.identity import Identity
from core.limits import Allowance
from core.logging import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from core.bodies import Bodies

# The longest valid body of most routes is a prompt of 4,096 astral characters, each written as two escapes: 49 KB.
MAX_BODY_BYTES = 64 * 1024
JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
RATE_LIMIT_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_EXPOSED = ", ".join(("Location", *RATE_LIMIT_HEADERS, "Retry-After", "WWW-Authenticate", "X-Request-Id"))

# Who calls a route: nobody in particular, whatever is sent; whoever sends a token, or is anonymous; a user.
Caller = Callable[[Mapping[str, Any]], Identity | None]
OPTIONAL: Caller = identity.optional
REQUIRED: Caller = identity.required

Errors = Sequence[type[ProblemError]]
AnyCallableT = TypeVar("AnyCallableT", bound=Callable[..., Any])
BodyT = TypeVar("BodyT")


def _anybody(_event: Mapping[str, Any]) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Response(Generic[BodyT]):
    """What a route answers. A body that is no text is written as JSON; an iterator of texts leaves piece by piece."""

    status_code: int
    content_type: str | None = None
    body: BodyT | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """A route of an API, with what the description tells of it.

    ``path`` is as the template has it, and the values of its parameters are the first arguments of ``function``.
    ``errors`` are the problems that only it and its like can answer, ``answers`` what it answers when it succeeds: by
    status, media types with their schemas (a type, a function that makes one, or JSON Schema), and a description as
    ``""``. ``headers`` are those of a success beside what every answer has.
    """

    method: str
    path: str
    function: Callable[..., Any]
    operation_id: str
    status_code: int
    errors: Errors
    answers: Mapping[int, Mapping[str, Any]]
    summary: str | None
    queries: Mapping[str, query.Parameter]
    headers: Sequence[str] = ()

    @property
    def parameters(self) -> list[str]:
        """The names of the path's parameters."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


class Api:
    """A function's routes: answers in JSON, errors as RFC 9457 problem details, ``X-Request-Id`` on everything.

    A request is counted while its body is validated. With ``counts_beside`` it is counted while the route's function
    runs: of a route without a body that only reads what costs next to nothing; of one with a body, where the caller is
    far from the limit, until it calls ``admit``. Nothing else happens, and nothing is answered, before it is counted.
    """

    def __init__(
        self, caller: Caller = _anybody, *, max_body_bytes: int = MAX_BODY_BYTES, counts_beside: bool = False
    ) -> None:
        self._origin = os.environ.get("CORS_ORIGIN", "*")
        self.who = caller
        self.max_body_bytes = max_body_bytes
        self.counts_beside = counts_beside
        self.routes: dict[tuple[str, str], Route] = {}
        self.bodies: Bodies | None = None
        self.event: Mapping[str, Any] = {}
        self.context: LambdaContext = None  # type: ignore[assignment]
        self._identity: Identity | None = None
        self._allowance: Allowance | None = None
        self._counting: limits.Counting | None = None
        self._cold = True
        aws.at_start(limits.connect)

    def get(self, path: str, **options: Any) -> Callable[[AnyCallableT], AnyCallableT]:
        """A GET route, which answers HEAD, too (RFC 9110 §9.3.2); the options are those of ``Route``."""
        return self._route("GET", path, options)

    def delete(self, path: str, **options: Any) -> Callable[[AnyCallableT], AnyCallableT]:
        """A DELETE route, like ``get``."""
        return self._route("DELETE", path, options)

    def post(self, path: str, **options: Any) -> Callable[[AnyCallableT], AnyCallableT]:
        """A POST route, whose body is a model of pydantic."""
        return self._route("POST", path, options)

    def patch(self, path: str, **options: Any) -> Callable[[AnyCallableT], AnyCallableT]:
        """A PATCH route, like ``post``."""
        return self._route("PATCH", path, options)

    def _route(self, method: str, path: str, options: dict[str, Any]) -> Callable[[AnyCallableT], AnyCallableT]:
        has_body = method in ("POST", "PATCH")
        if has_body and self.bodies is None:
            from core.bodies import Bodies

            self.bodies = Bodies(self.max_body_bytes)

        def register(function: AnyCallableT) -> AnyCallableT:
            route = Route(
                method,
                path,
                function,
                options["operation_id"],
                options.get("status_code", 200),
                options.get("errors", ()),
                options.get("answers", {}),
                options.get("summary"),
                {} if has_body else query.parameters(function),
                options.get("headers", ()),
            )
            self.routes[method, path] = route
            if has_body and self.bodies:
                self.bodies.add(route)
            return function

        return register

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
        return ClientInfo.from_event(self.event)

    @property
    def caller_key(self) -> str:
        """What tells this caller from all others: a user's id, or the network of an anonymous one."""
        return _caller_key(self._identity, self.client)

    @property
    def counted(self) -> bool:
        """Whether the request was counted; if not, limits are off or, failing open, out of order."""
        return self._allowance is not None

    def header(self, name: str) -> str | None:
        """A header of the request, whatever its case."""
        return identity.header(self.event, name)

    @property
    def request_id(self) -> str:
        """What the answer is called in its header and in problem details."""
        return _request_id(self.event, self.context)

    @property
    def remaining_ms(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
        return self.context.get_remaining_time_in_millis()

    def stream(self, events: Iterator[str]) -> Response[Iterator[str]]:
        """200 with server-sent events (``core.streaming.event``), for a route to return.

        Each leaves at once, and comments keep the connection alive; where the gateway does not stream, the answer is
        all of them together. What should be problem details is raised before a route returns this.
        """
        return Response(int(HTTPStatus.OK), streaming.EVENT_STREAM, events)

    def __call__(self, event: Mapping[str, Any], context: "LambdaContext") -> dict[str, Any]:
        """Answer one API Gateway event; never raises."""
        start = time.perf_counter()
        self.event, self.context = event, context
        self._identity = self._allowance = self._counting = None
        request_id = _request_id(event, context)
        with logger.append_context_keys(request_id=request_id):
            try:
                self._admit(event)
                response = self._written(self._answer(event), request_id)
            except ProblemError as error:
                response = self._written(problem(error), request_id)
            except Exception:
                logger.exception("unhandled error")
                bug = ProblemError("Something went wrong on our side. Quote the requestId to support.")
                response = self._written(problem(bug), request_id)
            if event.get("httpMethod") == "HEAD":
                _leave_out_the_body(response)
            if streaming.is_streamed(response):
                response["body"] = self._leaving(response["body"], event, response, start, request_id)
            else:
                self._log(event, response, start)
        return response

    resolve = __call__

    def _admit(self, event: Mapping[str, Any]) -> None:
        """Find out who calls, and begin to count the call: a bad token counts for the address that it came from.

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
        self._counting = limits.from_env().begin(key, is_user=self._identity is not None)
        if refused is not None:
            self.admit()
            raise refused

    def admit(self) -> None:
        """Wait until the call is counted. Raises ``TooManyRequests``, ``ServiceUnavailable``."""
        counting, self._counting = self._counting, None
        if counting is not None:
            self._allowance = counting.result()
        if self._allowance is not None and self._allowance.exceeded:
            raise TooManyRequests(
                "Too many requests: wait as long as Retry-After says.", retry_after=self._allowance.reset
            )

    def _answer(self, event: Mapping[str, Any]) -> Response[Any]:
        """What the route of the event answers. Raises what it does, and ``NotFound`` where there is none."""
        try:
            return self._routed(event)
        finally:
            # Whatever it came to, a call that is one too many has that for its answer.
            self.admit()

    def _admit_soon(self) -> None:
        """Wait until the call is counted, unless the route does, and it will hardly be refused."""
        if not (self.counts_beside and self._counting and self._counting.has_room):
            self.admit()

    def _routed(self, event: Mapping[str, Any]) -> Response[Any]:
        method, resource = event.get("httpMethod"), event.get("resource") or ""
        if method == "OPTIONS":
            return self._preflight(resource)
        route = self.routes.get(("GET" if method == "HEAD" else str(method), resource))
        if route is None:
            return self.without_route(event)
        values = event.get("pathParameters") or {}
        # Gateways pass over slashes at the end and twice in a row; decoded, they cannot be told from an id's own. What
        # stands in front is a base path of a domain.
        asked = re.sub(r"{(\w+)}", lambda match: str(values.get(match[1], "")), route.path)
        path = str(event.get("path", ""))
        if route.parameters and not (path.endswith(asked) or unquote(path).endswith(asked)):
            raise NotFound("There is no such route.")
        arguments = [str(values.get(name, "")) for name in route.parameters]
        if route.method in ("POST", "PATCH") and self.bodies:
            answer = self.bodies.call(route, event, self.context, arguments, self._admit_soon)
        else:
            if not self.counts_beside:
                self.admit()
            answer = route.function(*arguments, **query.values(route.queries, event))
        return answer if isinstance(answer, Response) else Response(route.status_code, JSON, answer)

    def without_route(self, event: Mapping[str, Any]) -> Response[Any]:
        """What is answered where there is no route for the event. Raises ``NotFound``."""
        raise NotFound("There is no such route.")

    def _preflight(self, resource: str) -> Response[None]:
        methods = sorted({method for method, path in self.routes if path == resource})
        headers = {
            "Access-Control-Allow-Methods": ",".join(methods),
            "Access-Control-Allow-Headers": "Authorization,Content-Type,Idempotency-Key",
        }
        return Response(int(HTTPStatus.NO_CONTENT), headers=headers)

    def _written(self, answer: Response[Any], request_id: str) -> dict[str, Any]:
        """The answer as Lambda's proxy integration takes it, with what every answer carries.

        That is the request id, the rate limit, leave for pages of the allowed origin, and no caching unless the route
        allows it. A stream is joined where the gateway does not stream.
        """
        body: Any = answer.body
        if answer.content_type == PROBLEM_JSON and isinstance(body, dict):
            body = body | {"requestId": request_id}
        if hasattr(body, "__next__"):
            body = body if streaming.is_available() else "".join(body)
        elif body is not None and not isinstance(body, str):
            body = dumps(body)
        headers = {
            "Access-Control-Allow-Origin": self._origin,
            "Access-Control-Expose-Headers": _EXPOSED,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        } | dict(answer.headers)
        if answer.content_type:
            headers["Content-Type"] = answer.content_type
        if self._origin != "*":
            headers["Vary"] = ", ".join(filter(None, (headers.get("Vary"), "Origin")))
        headers["X-Request-Id"] = request_id
        if self._allowance is not None:
            headers |= self._allowance.headers()
        return {
            "statusCode": int(answer.status_code),
            "body": "" if body is None else body,
            "isBase64Encoded": False,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
        }

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


def problem(error: ProblemError) -> Response[dict[str, object]]:
    """The error as RFC 9457 problem details; the request id is added when it is written."""
    body: dict[str, object] = {
        "type": error.type,
        "title": error.title,
        "status": int(error.status),
        "detail": error.detail,
    }
    if error.errors:
        body["errors"] = [item._asdict() for item in error.errors]
    return Response(int(error.status), PROBLEM_JSON, body | error.members, error.headers)


def dumps(value: object) -> str:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def no_content() -> Response[None]:
    """204, without a body or a content type."""
    return Response(int(HTTPStatus.NO_CONTENT))


def _leave_out_the_body(response: dict[str, Any]) -> None:
    """What answers HEAD: the headers of GET, the length of its body among them (RFC 9110 §9.3.2)."""
    response["multiValueHeaders"]["Content-Length"] = [str(len(response["body"].encode()))]
    response["body"] = ""


def _request_id(event: Mapping[str, Any], context: "LambdaContext") -> str:
    """The id that the gateway's own errors carry, too; the invocation's where there is none."""
    return str((event.get("requestContext") or {}).get("requestId") or context.aws_request_id)


def _caller_key(caller: Identity | None, client: ClientInfo) -> str:
    return f"user:{caller.sub}" if caller else f"address:{client.network}"


def _milliseconds_since(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 1)
