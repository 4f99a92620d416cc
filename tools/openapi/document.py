"""The OpenAPI 3.1 document of the whole API, made from the resolvers of the functions.

Powertools describes the requests and the answers of each route. What all routes have in common follows from what
``core.http`` does for each: who may call it (``Api.caller``), the problems that it and its kind can answer, the headers
that every answer carries.
"""

import importlib
import inspect
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import ModuleType
from typing import Any

from aws_lambda_powertools.event_handler.api_gateway import Route

from core import errors
from core.errors import ProblemError
from core.http import OPTIONAL, REQUIRED, Api
from tools.openapi.components import (
    EVERY_ANSWER,
    HEADERS,
    HEADERS_OF_STATUS,
    PROBLEM,
    SECURITY,
    Json,
    headers_of,
    kind_of,
    kinds,
    response_of,
)
from tools.openapi.sources import ROOT

# Each package of functions with its tag, in the order of the document.
TAGS = {
    "auth": ("Accounts", "Make an account, log in, keep and end sessions."),
    "users": ("Accounts", ""),
    "image": ("Images", "Make pictures, read, list, download and delete them."),
    "tts": ("Speech", "Make speech, read, list, download and delete it."),
    "ops": ("Platform", "The state of the platform, and this description."),
}
INTRODUCTION = """\
Accounts, images and speech behind one gateway.

Send an access token as `Authorization: Bearer …`; register or log in to get one. Images and speech may also be made
without one, within narrower limits.

Every error is a problem (RFC 9457), and every answer has an `X-Request-Id` to quote to support. Fields that are not
known are ignored in requests, and may be added to answers."""

IDENTIFIER = {
    "description": "UUIDv7, lower case. Any other text is the id of nothing: 404.",
    "schema": {"type": "string", "format": "uuid", "examples": ["019ab7d2-51f3-7c1e-9a51-6f0d2b7c4e10"]},
}
# What any request can be answered, and what only one with a body, with other input, or with a token can.
ALWAYS = (errors.TooManyRequests, errors.ServiceUnavailable)
WITH_A_BODY = (errors.BadRequest, errors.PayloadTooLarge, errors.Unprocessable)
WITH_INPUT = (errors.Unprocessable,)
WITH_A_TOKEN = (errors.Unauthorized,)


@dataclass(frozen=True)
class Handler:
    """A module of functions/ that answers HTTP requests."""

    module: ModuleType
    api: Api

    @property
    def tag(self) -> str:
        """The part of the API that it belongs to."""
        return TAGS[self.module.__name__.partition(".")[0]][0]

    @property
    def summary(self) -> str:
        """What the module's first line says after its route."""
        line = (inspect.getdoc(self.module) or "").partition("\n")[0]
        text = line.partition(": ")[2].rstrip(".")
        return text[:1].upper() + text[1:]

    @property
    def routes(self) -> list[Route]:
        """Its routes, as the resolver keeps them."""
        return [*self.api._static_routes, *self.api._dynamic_routes]


def handlers() -> Iterator[Handler]:
    """The modules of functions/ with at least one route, in the order of the document."""
    for package in TAGS:
        sources = sorted((ROOT / "functions" / package).glob("[a-z]*.py"))
        modules = (importlib.import_module(f"{package}.{source.stem}") for source in sources)
        found = [Handler(module, module.api) for module in modules if isinstance(getattr(module, "api", None), Api)]
        # What makes things comes before what reads them, and that before what removes them.
        with_routes = [handler for handler in found if handler.routes]
        yield from sorted(with_routes, key=lambda handler: ("POST", "GET", "DELETE").index(handler.routes[0].method))


def document() -> Json:
    """The whole document."""
    paths: dict[str, Json] = {}
    schemas: Json = {"Problem": PROBLEM}
    for handler in handlers():
        described = handler.api.get_openapi_schema().model_dump(by_alias=True, exclude_none=True, mode="json")
        for name, schema in described["components"]["schemas"].items():
            if schemas.setdefault(name, schema) != schema:
                raise ValueError(f"{handler.module.__name__} has another model of the name {name}")
        for route in handler.routes:
            operations = paths.setdefault(_path(route), {})
            method = route.method.lower()
            if method in operations:
                raise ValueError(f"{handler.module.__name__} has a route of another function: {method} {_path(route)}")
            operations[method] = _operation(handler, route, described["paths"][route.openapi_path][method])
    _link(paths)
    whole: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "llm-microservices",
            "version": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"],
            "description": INTRODUCTION,
        },
        # Relative to this document, so that a stage's prefix is in it.
        "servers": [{"url": "./", "description": "Where this description was read from."}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.values() if text],
        "paths": paths,
        "components": {
            "securitySchemes": SECURITY,
            "headers": HEADERS,
            "responses": {kind.__name__: response_of(kind) for kind in kinds()},
            "schemas": schemas,
        },
    }
    return _only_used(_tidy(whole))


def text() -> str:
    """The document as it is committed and served."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def _path(route: Route) -> str:
    """The path as the template writes it: whatever has an id, the gateway calls it ``id``."""
    return route.openapi_path.replace("{record_id}", "{id}").replace("{session_id}", "{id}")


def _operation(handler: Handler, route: Route, described: Json) -> Json:
    parameters = [_parameter(parameter) for parameter in described.get("parameters", [])]
    operation: Json = {
        "operationId": route.operation_id,
        "tags": [handler.tag],
        "summary": handler.summary if route.summary is None else route.summary,
        "description": (inspect.getdoc(route.func) or "").replace("``", "`"),
        "security": _security(handler.api),
    }
    if parameters:
        operation["parameters"] = parameters
    if "requestBody" in described:
        operation["requestBody"] = described["requestBody"]
    succeeding = {
        status: _success(int(status), answer) for status, answer in described["responses"].items() if status < "4"
    }
    failing = {
        str(int(kind.status)): {"$ref": f"#/components/responses/{kind_of(kind.status).__name__}"}
        for kind in _problems(handler.api, route, operation)
    }
    return operation | {"responses": succeeding | dict(sorted(failing.items()))}


def _link(paths: Mapping[str, Json]) -> None:
    """From an answer that tells of something new to the calls that take its id."""
    for path, operations in paths.items():
        made = operations.get("post", {}).get("responses", {}).get("201", {})
        if "Location" not in made.get("headers", {}):
            continue
        made["links"] = {
            operation["operationId"]: {
                "operationId": operation["operationId"],
                "parameters": {"id": "$response.body#/id"},
            }
            for other, others in paths.items()
            if other.startswith(f"{path.rpartition('/')[0]}/{{id}}")
            for operation in others.values()
        }


def _parameter(described: Json) -> Json:
    """A parameter as it travels: there is no null in a query or a header."""
    if described["in"] == "path" and described["name"].endswith("_id"):
        return described | {"name": "id"} | IDENTIFIER
    schema = {name: part for name, part in described["schema"].items() if name != "description"}
    if "anyOf" in schema:
        (value,) = (choice for choice in schema.pop("anyOf") if choice != {"type": "null"})
        schema |= value
    # Powertools writes the names of headers in lower case.
    name = described["name"].title() if described["in"] == "header" else described["name"]
    return described | {"name": name, "schema": schema}


def _security(api: Api) -> list[Json]:
    token: Json = {"accessToken": []}
    return {REQUIRED: [token], OPTIONAL: [{}, token]}.get(api.who, [])


def _problems(api: Api, route: Route, operation: Json) -> Iterator[type[ProblemError]]:
    yield from ALWAYS
    yield from api.errors[route.method, route.path]
    if operation["security"]:
        yield from WITH_A_TOKEN
    if "requestBody" in operation:
        yield from WITH_A_BODY
    if any(parameter["in"] != "path" for parameter in operation.get("parameters", [])):
        yield from WITH_INPUT


def _success(status: int, described: Json) -> Json:
    """An answer as it is sent: 204 and 302 have no body, and a generation that was made is where its links say."""
    answer = {"description": HTTPStatus(status).phrase} if "Successful" in described["description"] else described
    names = [*EVERY_ANSWER, *HEADERS_OF_STATUS.get(HTTPStatus(status), ())]
    content = described.get("content", {})
    if status == HTTPStatus.CREATED and content["application/json"]["schema"].get("$ref", "").endswith("/Generation"):
        names.append("Location")
    answer = answer | {"headers": headers_of(names)}
    without_body = {name: part for name, part in answer.items() if name != "content"}
    return without_body if status in (HTTPStatus.NO_CONTENT, HTTPStatus.FOUND) else without_body | {"content": content}


def _tidy(value: Any) -> Any:
    """Without the titles that pydantic makes of names or a default that cannot be sent; whole numbers as such."""
    if isinstance(value, Mapping):
        is_schema = "type" in value or "$ref" in value or "anyOf" in value or "enum" in value
        drop = {"title"} if is_schema and isinstance(value.get("title"), str) and "detail" not in value else set()
        if "enum" in value and value.get("default") not in value["enum"]:
            drop = drop | {"default"}
        return {name: _tidy(part) for name, part in value.items() if name not in drop}
    if isinstance(value, list):
        return [_tidy(part) for part in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        return value.replace("``", "`")
    return value


def _only_used(whole: Json) -> Json:
    """Without the components that nothing refers to, the models of Powertools' own errors among them."""
    components = whole["components"]
    while True:
        used = json.dumps(whole)
        unused = [
            (kind, name)
            for kind in ("headers", "responses", "schemas")
            for name in components[kind]
            if f'"#/components/{kind}/{name}"' not in used
        ]
        if not unused:
            return whole
        for kind, name in unused:
            del components[kind][name]
