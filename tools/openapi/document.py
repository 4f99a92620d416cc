"""The OpenAPI 3.1 document of the whole API, made from the routes of the functions.

Powertools describes the bodies of requests; of the answers the routes tell. What all routes have in common follows from
what ``core.http`` does for each: who may call it (``Api.who``), the problems that it and its kind can answer, the
headers that every answer carries.
"""

import importlib
import inspect
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import ModuleType
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter

from core import areas, errors
from core.areas import Area
from core.bodies import literal
from core.description import Described
from core.errors import ProblemError
from core.http import JSON, OPTIONAL, REQUIRED, Api, Response, Route
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
from tools.sources import FUNCTIONS, ROOT

INTRODUCTION = """\
Accounts and services that generate, behind one gateway.

Send an access token as `Authorization: Bearer …`; register or log in to get one. Most things may also be generated
without one, within narrower limits.

Every error is a problem (RFC 9457), and every answer has an `X-Request-Id` to quote to support. Fields that are not
known are ignored in requests, and may be added to answers."""

IDENTIFIER = {
    "description": "UUIDv7, lower case. Any other text is the id of nothing: 404.",
    "schema": {"type": "string", "format": "uuid", "examples": ["019ab7d2-51f3-7c1e-9a51-6f0d2b7c4e10"]},
}
_METHODS = ("POST", "GET", "PATCH", "DELETE")
# What any request can be answered, and what only one with a body, with other input, or with a token can.
ALWAYS = (errors.TooManyRequests, errors.ServiceUnavailable)
WITH_A_BODY = (errors.BadRequest, errors.PayloadTooLarge, errors.Unprocessable)
WITH_INPUT = (errors.Unprocessable,)
WITH_A_TOKEN = (errors.Unauthorized,)


@dataclass(frozen=True)
class Handler:
    """A module of functions/ that answers HTTP requests."""

    area: Area
    module: ModuleType
    api: Api

    @property
    def summary(self) -> str:
        """What the module's first line says after its route."""
        line = (inspect.getdoc(self.module) or "").partition("\n")[0]
        text = line.partition(": ")[2].rstrip(".")
        return text[:1].upper() + text[1:]

    @property
    def routes(self) -> list[Route]:
        """Its routes."""
        return list(self.api.routes.values())


def handlers() -> Iterator[Handler]:
    """The modules of functions/ with at least one route, in the order of the document."""
    for area in areas.found(FUNCTIONS):
        sources = sorted((FUNCTIONS / area.name).glob("[a-z]*.py"))
        modules = (importlib.import_module(f"{area.name}.{source.stem}") for source in sources)
        found = [(module, getattr(module, "handler", None)) for module in modules]
        with_routes = [Handler(area, module, api) for module, api in found if isinstance(api, Api) and api.routes]
        # What makes things comes before what reads them, and that before what changes and removes them.
        yield from sorted(with_routes, key=lambda handler: _METHODS.index(handler.routes[0].method))


def document() -> Json:
    """The whole document."""
    paths: dict[str, Json] = {}
    schemas: Json = {"Problem": PROBLEM}
    for handler in handlers():
        for route in handler.routes:
            operations = paths.setdefault(route.path, {})
            method = route.method.lower()
            if method in operations:
                raise ValueError(f"{handler.module.__name__} has a route of another function: {method} {route.path}")
            operations[method] = _operation(handler, route, schemas)
    _link(paths)
    tags = {area.tag: area.about for area in reversed(list(areas.found(FUNCTIONS))) if area.about}
    whole: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "llm-microservices",
            "version": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"],
            "description": INTRODUCTION,
        },
        # Relative to this document, so that a stage's prefix is in it.
        "servers": [{"url": "./", "description": "Where this description was read from."}],
        "tags": [{"name": name, "description": text} for name, text in reversed(tags.items())],
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


def _operation(handler: Handler, route: Route, schemas: Json) -> Json:
    described = _body(handler.api, route, schemas)
    parameters = [*_path_parameters(route), *_queries(route), *map(_header, described.get("parameters", []))]
    operation: Json = {
        "operationId": route.operation_id,
        "tags": [handler.area.tag],
        "summary": handler.summary if route.summary is None else route.summary,
        "description": (inspect.getdoc(route.function) or "").replace("``", "`"),
        "security": _security(handler.api),
    }
    if parameters:
        operation["parameters"] = parameters
    if "requestBody" in described:
        operation["requestBody"] = described["requestBody"]
    failing = {
        str(int(kind.status)): {"$ref": f"#/components/responses/{kind_of(kind.status).__name__}"}
        for kind in _problems(handler.api, route, operation)
    }
    return operation | {"responses": _successes(route, schemas) | dict(sorted(failing.items()))}


def _body(api: Api, route: Route, schemas: Json) -> Json:
    """What Powertools says of the route: its body and the headers that it takes. Adds the models to the schemas."""
    if api.bodies is None or route.method not in ("POST", "PATCH"):
        return {}
    described = api.bodies.resolver.get_openapi_schema().model_dump(by_alias=True, exclude_none=True, mode="json")
    for name, schema in described["components"]["schemas"].items():
        _add(schemas, name, schema)
    operation: Json = described["paths"][literal(route.path)][route.method.lower()]
    return operation


def _add(schemas: Json, name: str, schema: Json) -> None:
    if schemas.setdefault(name, schema) != schema:
        raise ValueError(f"there are two models of the name {name}")


def _path_parameters(route: Route) -> Iterator[Json]:
    """What has an id is called so in every path; any other parameter says itself what it is."""
    hints = get_type_hints(route.function, include_extras=True)
    arguments = list(inspect.signature(route.function).parameters)
    for name, argument in zip(route.parameters, arguments, strict=False):
        place = {"name": name, "in": "path", "required": True}
        if name == "id":
            yield place | IDENTIFIER
            continue
        keywords = [each.keywords for each in get_args(hints[argument]) if isinstance(each, Described)]
        described = {key: value for each in keywords for key, value in each.items()}
        yield place | {"description": described.pop("description", ""), "schema": {"type": "string"} | described}


def _queries(route: Route) -> Iterator[Json]:
    for parameter in route.queries.values():
        described: Json = {"name": parameter.name, "in": "query", "required": False}
        if parameter.description:
            described["description"] = parameter.description
        default = {} if parameter.default is None else {"default": parameter.default}
        yield described | {"schema": dict(parameter.schema) | default}


def _header(described: Json) -> Json:
    """A header as it travels: there is no null in it. Powertools writes names of headers in lower case."""
    schema = {name: part for name, part in described["schema"].items() if name != "description"}
    if "anyOf" in schema:
        (value,) = (choice for choice in schema.pop("anyOf") if choice != {"type": "null"})
        schema |= value
    return described | {"name": described["name"].title(), "schema": schema}


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
            if other.startswith(f"{path.removesuffix('/generate')}/{{id}}")
            for operation in others.values()
        }


def _security(api: Api) -> list[Json]:
    token: Json = {"accessToken": []}
    return {REQUIRED: [token], OPTIONAL: [{}, token]}.get(api.who, [])


def _problems(api: Api, route: Route, operation: Json) -> Iterator[type[ProblemError]]:
    yield from ALWAYS
    yield from route.errors
    if operation["security"]:
        yield from WITH_A_TOKEN
    if "requestBody" in operation:
        yield from WITH_A_BODY
    if any(parameter["in"] != "path" for parameter in operation.get("parameters", [])):
        yield from WITH_INPUT


def _successes(route: Route, schemas: Json) -> Json:
    """What it answers when all goes well, by status: what the route tells, else what its function returns."""
    answers = dict(route.answers)
    if not answers:
        returned = get_type_hints(route.function, include_extras=True)["return"]
        kind = get_args(returned)[0] if get_origin(returned) is Response else returned
        answers = {route.status_code: {} if kind is type(None) else {JSON: kind}}
    found: Json = {}
    for number, told in answers.items():
        status = HTTPStatus(number)
        names = [*EVERY_ANSWER, *HEADERS_OF_STATUS.get(status, ())]
        if status == HTTPStatus.CREATED and told and "Location" in route.headers:
            names.append("Location")
        found[str(number)] = {"description": told.get("", status.phrase), "headers": headers_of(names)}
        content = {kind: {"schema": _schema(what, schemas)} for kind, what in told.items() if kind}
        if content:
            found[str(number)]["content"] = content
    return found


def _schema(what: Any, schemas: Json) -> Json:
    """The schema of an answer: given as such, or of a type, whose models are added to the schemas."""
    if isinstance(what, Mapping):
        return dict(what)
    kind = what() if inspect.isfunction(what) else what
    schema: Json = TypeAdapter(kind).json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    for name, model in schema.pop("$defs", {}).items():
        _add(schemas, name, model)
    if "properties" not in schema:
        return schema
    name = kind.__name__
    _add(schemas, name, schema)
    return {"$ref": f"#/components/schemas/{name}"}


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
