"""An application of FastAPI as a function: Mangum hands it the events, and ``core.http`` does around it what all have.

So requests are counted and logged, errors are problem details, and answers carry what every answer does. A route is
declared as those of the other functions are, and described with them; its function is FastAPI's to call.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from mangum import Mangum

from core.errors import NotFound, ProblemError
from core.http import PROBLEM_JSON, AnyCallableT, Api, Response, problem

# What is answered as text, and not in base64, which gateways decode only for media types that they are told of.
_TEXTS = ("text/", "application/json", PROBLEM_JSON, "image/svg+xml")


class Application(Api):
    """Routes whose functions may take and return whatever FastAPI lets them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # The platform has one description, which is made from ``routes``.
        self.application = FastAPI(
            openapi_url=None, exception_handlers={ProblemError: _problem, 404: _no_route, Exception: self._failed}
        )
        self._failure: Exception | None = None

    def _route(self, method: str, path: str, options: dict[str, Any]) -> Callable[[AnyCallableT], AnyCallableT]:
        register = super()._route(method, path, options)

        def registered(function: AnyCallableT) -> AnyCallableT:
            self.application.add_api_route(path, function, methods=[method], response_model=None)
            return register(function)

        return registered

    def _answer(self, event: Mapping[str, Any]) -> Response[Any]:
        """What the application answers. Raises ``NotFound`` for what is no route of it."""
        method, resource = event.get("httpMethod"), event.get("resource") or ""
        if method == "OPTIONS":
            return super()._answer(event)
        if ("GET" if method == "HEAD" else str(method), resource) not in self.routes:
            raise NotFound("There is no such route.")
        values = event.get("pathParameters") or {}
        # The route as the gateway found it: before the path stands whatever a domain has there.
        path = re.sub(r"{(\w+)}", lambda match: quote(str(values.get(match[1], "")), safe=""), resource)
        # What Mangum needs, whatever the event has; a host in brackets is none to it, and nobody asks for it.
        headers = {
            name: value
            for name, value in (event.get("headers") or {}).items()
            if isinstance(value, str) and name.lower() not in ("host", "x-forwarded-port")
        }
        asked = {
            "resource": resource,
            "path": path,
            "httpMethod": "GET" if method == "HEAD" else method,
            "headers": headers,
            "multiValueQueryStringParameters": event.get("multiValueQueryStringParameters") or {},
            "requestContext": {},
            "body": event.get("body"),
            "isBase64Encoded": bool(event.get("isBase64Encoded")),
        }
        self._failure = None
        with _event_loop():
            # Powertools and Mangum have each a type of their own for what Lambda tells.
            answers: Callable[[Any, Any], Any] = Mangum(self.application, lifespan="off", text_mime_types=list(_TEXTS))
            answered = answers(asked, self.context)
        if self._failure is not None:
            # A bug is told and answered as those of all functions.
            raise self._failure
        told = {name.title(): ", ".join(each) for name, each in answered["multiValueHeaders"].items()} | {
            name.title(): value for name, value in answered["headers"].items()
        }
        told.pop("Content-Length", None)
        kind, body = told.pop("Content-Type", None), answered["body"]
        return Response(answered["statusCode"], kind, json.loads(body) if kind == PROBLEM_JSON else body, told)

    async def _failed(self, _request: Request, error: Exception) -> PlainTextResponse:
        self._failure = error
        return PlainTextResponse("", 500)


@contextmanager
def _event_loop() -> Iterator[None]:
    """A loop for one call: Mangum takes that of its thread as given, and Python 3.12 makes none.

    One that is kept would be shared by the copies of this process, and with it what wakes it up.
    """
    with asyncio.Runner() as runner:
        asyncio.set_event_loop(runner.get_loop())
        try:
            yield
        finally:
            asyncio.set_event_loop(None)


async def _problem(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ProblemError):
        raise error
    answer = problem(error)
    return JSONResponse(answer.body, answer.status_code, dict(answer.headers), PROBLEM_JSON)


async def _no_route(request: Request, _error: Exception) -> JSONResponse:
    # A value of the path that is no part of one, such as a slash.
    return await _problem(request, NotFound("There is no such route."))
