"""The description of the API: what it says of the functions is so, and it says it of all of them."""

import hashlib
import importlib
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from pydantic import BaseModel, ValidationError
from tools.openapi import document

from accounts.requests import Login, LogoutRequest, RefreshRequest, Registration
from core.errors import ProblemError
from generation.google_tts import GoogleTts
from generation.providers import PromptRefused, ProviderError, ProviderTimeout
from image.generate import ImageGeneration
from offline import voices
from ops import docs, method, openapi, page
from tests import events, tokens
from tests.events import Gateway
from tests.unit.functions import bodies
from tests.unit.functions.accounts_plane import configured, database_down, environment  # noqa: F401
from tests.unit.functions.answers import Answer, ask
from tests.unit.functions.calls import Calls
from tests.unit.functions.template import functions
from tests.unit.stand_ins import Painter
from tts.generate import VOICES

METHODS = ("get", "post", "patch", "delete")


@cache
def described() -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(openapi.committed())
    return whole


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of every call."""
    for path, item in described()["paths"].items():
        for name in METHODS:
            if name in item:
                yield name, path, item[name]


def referred(value: dict[str, Any]) -> dict[str, Any]:
    """What a reference refers to."""
    while "$ref" in value:
        target: Any = described()
        for name in value["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        value = target
    return value


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """Checks a value against a schema of the description."""
    whole = {"components": described()["components"], "allOf": [schema]}
    return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)


def conforms(answer: Answer, verb: str, path: str) -> Answer:
    """The answer, after comparing its status, headers, media type and body with what is described."""
    responses = described()["paths"][path][verb]["responses"]
    assert str(answer.status) in responses, f"{verb} {path} answered {answer.status}: {answer.body}"
    response = referred(responses[str(answer.status)])
    for name, header in response["headers"].items():
        value = answer.headers.get(name.lower())
        if value is None:
            assert not referred(header)["required"], name
        else:
            schema = referred(header)["schema"]
            validator(schema).validate(int(value) if schema["type"] == "integer" else value)
    if "content" not in response:
        assert not answer.body
        return answer
    media_type = answer.headers["content-type"].partition(";")[0]
    schema = response["content"][media_type]["schema"]
    validator(schema).validate(answer.json if media_type.endswith("json") else answer.body)
    return answer


# ---------------------------------------------------------------- the whole


def test_it_is_openapi_3_1() -> None:
    assert described()["openapi"].startswith("3.1.")
    validate(described())


def test_the_committed_description_is_what_the_functions_say() -> None:
    assert openapi.committed() == document.text(), "run make openapi"


def test_it_has_the_calls_of_the_template_and_no_other() -> None:
    routes = {
        (route.method.lower(), route.path)
        for function in functions().values()
        for route in function.routes
        if route.method.lower() in METHODS
    }
    assert {(verb, path) for verb, path, _ in operations()} == routes


def test_every_module_that_answers_requests_is_in_it() -> None:
    with_calls = {
        module
        for module, function in functions().items()
        if any(route.method.lower() in METHODS for route in function.routes)
    }
    assert {handler.module.__name__ for handler in document.handlers()} == with_calls


def test_it_asks_for_a_token_where_the_gateway_does() -> None:
    protected = {
        (route.method.lower(), route.path)
        for function in functions().values()
        for route in function.routes
        if route.protected
    }
    required = {(verb, path) for verb, path, each in operations() if each["security"] == [{"accessToken": []}]}
    assert required == protected


def test_every_call_has_a_name_of_its_own_and_is_explained() -> None:
    names = [each["operationId"] for _, _, each in operations()]
    assert len(set(names)) == len(names)
    for _, path, each in operations():
        assert each["operationId"].isalnum(), path
        assert each["summary"], path
        assert each["description"], path
        assert each["tags"][0] in {tag["name"] for tag in described()["tags"]}


def test_every_problem_that_a_handler_declares_is_in_it() -> None:
    for handler in document.handlers():
        for route in handler.routes:
            responses = described()["paths"][route.path][route.method.lower()]["responses"]
            assert {str(int(kind.status)) for kind in route.errors} <= set(responses), route.path


def test_no_call_promises_a_bug() -> None:
    assert not [path for _, path, each in operations() if "500" in each["responses"]]


def test_every_answer_can_be_told_to_support() -> None:
    for _, path, each in operations():
        for response in each["responses"].values():
            assert referred(referred(response)["headers"]["X-Request-Id"])["required"], path


def test_it_is_the_same_wherever_it_is_made() -> None:
    assert str(document.ROOT) not in openapi.committed()
    assert [server["url"] for server in described()["servers"]] == ["./"]


# ---------------------------------------------------------------- schemas and examples


def schemas_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every schema in the description that has examples or a default."""
    if isinstance(value, dict):
        if isinstance(value.get("examples"), list) or "default" in value:
            yield value
        for part in value.values():
            yield from schemas_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from schemas_in(part)


# What JSON Schema 2020-12 knows, of which the description makes use.
KEYWORDS = {
    "deprecated",
    *("$ref", "type", "enum", "anyOf", "description", "default", "examples", "format", "pattern"),
    *("minimum", "maximum", "minLength", "maxLength", "properties", "required", "items", "additionalProperties"),
}


def parts_of(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and all schemas in it."""
    yield schema
    for part in [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]:
        yield from parts_of(part)
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from parts_of(schema[name])


def test_schemas_say_nothing_that_json_schema_does_not_know() -> None:
    parameters = [one["schema"] for _, _, each in operations() for one in each.get("parameters", [])]
    for whole in [*described()["components"]["schemas"].values(), *parameters]:
        for schema in parts_of(whole):
            assert set(schema) <= KEYWORDS, schema


def test_examples_and_defaults_are_what_their_schemas_allow() -> None:
    found = list(schemas_in(described()))
    assert len(found) > 30
    for schema in found:
        for example in [*schema.get("examples", []), *([schema["default"]] if "default" in schema else [])]:
            validator(schema).validate(example)


def test_the_examples_of_problems_are_problems() -> None:
    for name, response in described()["components"]["responses"].items():
        (content,) = response["content"].values()
        assert content["examples"], name
        for example in content["examples"].values():
            validator(content["schema"]).validate(example["value"])
            kind = getattr(importlib.import_module("core.errors"), name)
            assert issubclass(kind, ProblemError)
            assert example["value"]["status"] == kind.status


def test_every_body_has_an_example_in_each_field_that_is_required() -> None:
    for _, path, each in operations():
        if "requestBody" in each:
            schema = referred(each["requestBody"]["content"]["application/json"]["schema"])
            example = {name: schema["properties"][name]["examples"][0] for name in schema.get("required", ())}
            validator(schema).validate(example)
            assert schema.get("additionalProperties", True), path


def test_the_voices_are_those_that_every_provider_speaks() -> None:
    assert set(VOICES) == GoogleTts().voices & voices.EVERY


# What a field is accepted for and what it is refused for, by the schema and by the function alike.
FIELDS: dict[str, tuple[type[BaseModel], dict[str, Any], list[Any], list[Any]]] = {
    "size": (
        ImageGeneration,
        {"prompt": "a"},
        ["64x64", "99x100", "1999x2047", "2048x2048"],
        ["63x64", "64x2049", "064x64", "64X64", "64x64 ", "٦٤x64", "", 64, None],
    ),
    "prompt": (
        ImageGeneration,
        {},
        ["a", " a\n", "\x01", "\ufeff", "\u200b", "🦊", "a" * 2000],
        ["", " ", "\t\r\n\x0b\x0c", "\x85\xa0\u1680\u2003\u2028\u202f\u205f\u3000", "a\0", "\0", "a" * 2001, 7, None],
    ),
    "model": (
        ImageGeneration,
        {"prompt": "a"},
        ["flux", "x" * 64, "A.b_c-1"],
        ["", "x" * 65, "-x", "a b", "é", None],
    ),
    "seed": (ImageGeneration, {"prompt": "a"}, [0, 2**31 - 1, None], [-1, 2**31, "1", True, 1.5]),
    "email": (
        Registration,
        {"password": "correct horse"},
        [
            "a@b.c",
            "ada+x@example.com",
            "jürgen@müller.example",
            "a" * 64 + "@b.cd",
            "x@" + "a" * 63 + ".cd",
            "x@" + "a." * 60 + "c" * 63,
            "!#$%&'*+-/=?^_`{|}~.Z.9@a-b--c.c0d",
            "straße@xn--exmple-cua.com",
            "ø@exämple.com",
        ],
        [
            "a@b",
            "a@b..c",
            "@b.cd",
            "a b@c.de",
            "a@b@c.de",
            "a@-b.cd",
            "a@b-.cd",
            "a" * 65 + "@b.cd",
            7,
            None,
            ".a@b.cd",
            "a.@b.cd",
            "a..b@c.de",
            "a,b@c.de",
            "<a>@b.cd",
            '"a"@b.cd',
            "a:b@c.de",
            "a;b@c.de",
            "a(b)@c.de",
            "a[b]@c.de",
            "a\\b@c.de",
            "a@b.c1",
            "a@b.cd-",
            "x@" + "a" * 64 + ".cd",
            "x@c." + "a" * 64,
            "\ufffd@b.cd",
        ],
    ),
    "email of a login": (
        Login,
        {"password": "correct horse"},
        ["a@b.c", ".a@b.cd", "a..b@c.de", "a,b@c.de", "<a>@b.cd", "jürgen@müller.example", "a@b--c.d1"],
        ["a@b", "a@b..c", "@b.cd", "a b@c.de", "a@b@c.de", "a@-b.cd", "a" * 65 + "@b.cd", "\ufffd@b.cd", 7, None],
    ),
    "password of a login": (
        Login,
        {"email": "ada@example.com"},
        ["x", "a" * 72, "é" * 36, "語" * 24, "😀" * 18, "\x01"],
        ["", "a" * 73, "é" * 37, "語" * 25, "😀" * 19, "\0", "\ufffd", "\ufffd😀", 7, None],
    ),
    "password": (
        Registration,
        {"email": "ada@example.com"},
        ["eight888", "a" * 72, "é" * 36, "語" * 24, "😀" * 18, "\u00a0" * 8],
        [
            "seven77",
            "a" * 73,
            "é" * 37,
            "語" * 25,
            "😀" * 19,
            "eight88\0",
            "eight88\t",
            "eightéé\x7f",
            "語語語語語語語\x85",
            "😀😀😀😀😀😀😀\x1f",
            "eight88\ufffd",
            "😀😀😀😀😀😀😀\ufffd",
            12345678,
            None,
        ],
    ),
    "refreshToken": (RefreshRequest, {}, ["x", "x" * 1024], ["", "x" * 1025, "é", 7, None]),
    "everywhere": (LogoutRequest, {"refreshToken": "x"}, [True, False], ["true", 1, None]),
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_is_accepted_and_refused_as_its_schema_says(field: str) -> None:
    model, rest, good, bad = FIELDS[field]
    field, _, _ = field.partition(" ")
    schema = validator({"$ref": f"#/components/schemas/{model.__name__}"})
    for value in good:
        schema.validate(rest | {field: value})
        model.model_validate(rest | {field: value})
    for value in bad:
        assert not schema.is_valid(rest | {field: value}), value
        with pytest.raises(ValidationError):
            model.model_validate(rest | {field: value})


def test_unknown_fields_are_accepted() -> None:
    body = {"prompt": "a", "steps": 20}
    validator({"$ref": "#/components/schemas/ImageGeneration"}).validate(body)
    ImageGeneration.model_validate(body)


# ---------------------------------------------------------------- answers


def call(verb: str, path: str, **request: Any) -> Answer:
    """Call the function of a route, and compare its answer with what is described."""
    (module,) = (
        function.module
        for function in functions().values()
        for route in function.routes
        if (route.method, route.path) == (verb, path)
    )
    body = {"body": json.dumps(request.pop("json"))} if "json" in request else {}
    event = events.aws(verb, path, **body, **request)
    return conforms(ask(importlib.import_module(module), event), verb.lower(), path)


@pytest.mark.usefixtures("bucket", "answers_table")
def test_the_generation_plane_answers_as_described(calls: Calls) -> None:
    me = {"identity": tokens.claims()}
    generate = f"{calls.path}/generate"
    made = call("POST", generate, json=calls.body(), headers={"Idempotency-Key": "k"}, **me)
    again = call("POST", generate, json=calls.body("another"), headers={"Idempotency-Key": "k"}, **me)
    wrong = call("POST", generate, json=calls.body(""))
    assert (made.status, again.status, wrong.status) == (201, 422, 422)
    this = {"parameters": {"id": made.json["id"]}}
    one, items = f"{calls.path}/{{id}}", calls.listing
    assert call("GET", one, **this, **me).status == 200
    assert call("GET", one, **this).status == 404
    assert call("GET", one, **this, headers={"Authorization": "Bearer x"}).status == 401
    assert call("GET", f"{one}/download", **this, **me).status == 200
    assert call("GET", f"{one}/download", **this, **me, query={"redirect": "true"}).status == 302
    assert call("GET", f"{one}/download", **this, **me, query={"redirect": "2"}).status == 422
    assert call("GET", items, **me).status == 200
    assert call("GET", items, **me, query={"limit": "1_0"}).status == 422
    assert call("GET", items, **me, query={"userId": "anonymous"}).status == 403
    assert call("GET", items).status == 401
    assert call("DELETE", one, **this).status == 401
    assert call("DELETE", one, **this, **me).status == 204


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("error", "status"), [(ProviderError("status 503"), 502), (ProviderTimeout(), 504), (PromptRefused("no"), 422)]
)
def test_a_provider_that_fails_is_answered_as_described(painter: Painter, error: Exception, status: int) -> None:
    painter.error = error
    assert call("POST", "/image/generate", json={"prompt": "a fox"}).status == status


@pytest.mark.usefixtures("environment")
def test_the_accounts_plane_answers_as_described() -> None:
    me = {"email": "ada@example.com", "password": "correct horse battery"}
    mine = call("POST", "/auth/register", json=me)
    assert (mine.status, call("POST", "/auth/register", json=me).status) == (201, 409)
    token = {"headers": {"Authorization": f"Bearer {mine.json['accessToken']}"}}
    assert call("POST", "/auth/login", json=me).status == 200
    assert call("POST", "/auth/login", json=me | {"password": "wrong"}).status == 401
    assert call("GET", "/users/me", **token).status == 200
    sessions = call("GET", "/auth/sessions", **token)
    assert sessions.status == 200
    other = {"parameters": {"id": next(one["id"] for one in sessions.json["items"] if not one["current"])}}
    assert call("DELETE", "/auth/sessions/{id}", **other, **token).status == 204
    assert call("DELETE", "/auth/sessions/{id}", parameters={"id": "x"}, **token).status == 404
    change = {"currentPassword": me["password"], "newPassword": "wrong donkey charger clip"}
    assert call("POST", "/auth/password", json=change, **token).status == 204
    assert call("POST", "/auth/password", json=change, **token).status == 403
    assert call("POST", "/auth/refresh", json={"refreshToken": mine.json["refreshToken"]}).status == 200
    assert call("POST", "/auth/refresh", json={"refreshToken": "x"}).status == 401
    assert call("POST", "/auth/logout", json={"refreshToken": mine.json["refreshToken"]}).status == 204
    assert call("GET", "/.well-known/jwks.json").status == 200


@pytest.mark.usefixtures("database_down")
def test_an_outage_is_answered_as_described() -> None:
    login = {"email": "ada@example.com", "password": "correct horse battery"}
    assert call("POST", "/auth/login", json=login).status == 503


@pytest.mark.parametrize("name", bodies.REFUSED)
def test_a_body_that_is_no_request_is_answered_as_described(name: str) -> None:
    status, body = bodies.REFUSED[name]
    answer = ask(importlib.import_module("auth.login"), events.aws("POST", "/auth/login", body=body))
    assert conforms(answer, "post", "/auth/login").status == status


# ---------------------------------------------------------------- the functions that serve it


def test_it_is_served_and_may_be_kept_for_a_while(gateway: Gateway) -> None:
    answer = conforms(ask(openapi, gateway("GET", "/openapi.json")), "get", "/openapi.json")
    assert answer.json == described()
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"


def test_the_page_loads_nothing_from_elsewhere_and_runs_no_script_of_its_own(gateway: Gateway) -> None:
    answer = conforms(ask(docs, gateway("GET", "/docs")), "get", "/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert '<html lang="en">' in answer.body
    assert "<title>llm-microservices API</title>" in answer.body
    assert re.findall(r"<script(?![^>]*\bsrc=)", answer.body) == []
    assert " on" not in "".join(re.findall(r"<[^!][^>]*>", answer.body))
    for reference in re.findall(r'(?:src|href)="([^"]*)"', answer.body):
        assert re.fullmatch(r"data:,|console|openapi\.json|docs/[\w.-]+\?v=[0-9a-f]{16}", reference), reference


def test_every_file_of_the_page_is_served_and_never_changes_at_its_address(gateway: Gateway) -> None:
    page_of_docs = ask(docs, gateway("GET", "/docs")).body
    files = re.findall(r'"docs/([\w.-]+)\?v=([0-9a-f]{16})"', page_of_docs)
    assert {name for name, _ in files} == set(page.TYPES)
    for name, digest in files:
        answer = ask(docs, gateway("GET", "/docs/{asset}", parameters={"asset": name}, query={"v": digest}))
        conforms(answer, "get", "/docs/{asset}")
        assert hashlib.sha256(answer.body.encode()).hexdigest().startswith(digest)
        assert answer.headers["content-type"] == f"{page.TYPES[name]}; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        # Lambda answers with at most 6 MB, as JSON.
        assert len(json.dumps(answer.body)) < 5_000_000


@pytest.mark.parametrize("name", ["index.html", "__init__.py", "..", "../docs.py", "swagger-ui.min.css.map", "x"])
def test_the_page_has_no_other_file(gateway: Gateway, name: str) -> None:
    answer = ask(docs, gateway("GET", "/docs/{asset}", parameters={"asset": name}))
    assert conforms(answer, "get", "/docs/{asset}").status == 404


@pytest.mark.parametrize("path", described()["paths"])
def test_a_method_that_a_path_does_not_have_is_405_and_told_which_it_has(gateway: Gateway, path: str) -> None:
    has = {each.upper() for each in described()["paths"][path]}
    has |= {"HEAD"} if "GET" in has else set()
    for other in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"} - has:
        answer = ask(method, gateway(other, path, parameters={"id": "x", "asset": "x"}, body="no JSON"))
        if other == "HEAD":
            assert (answer.status, answer.body) == (405, "")
        else:
            answer.problem(405)
        assert set(answer.headers["allow"].split(", ")) == has | {"OPTIONS"}


def test_a_method_is_refused_without_a_look_at_token_and_body(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JWKS")
    headers = {"Authorization": "Bearer x"}
    event = gateway("PUT", "/users/me", headers=headers, body="%", base64_encoded=True)
    ask(method, event).problem(405)


def test_a_path_that_is_not_described_is_404(gateway: Gateway) -> None:
    ask(method, gateway("PUT", "/nothing")).problem(404)
