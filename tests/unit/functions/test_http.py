"""What every call has in common, whatever it does."""

import importlib
import inspect
import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from auth import jwks
from core.errors import TooManyRequests
from core.http import MAX_BODY_BYTES, Api
from generation.providers import PromptRefused, ProviderError
from tests import events, tokens
from tests.events import Gateway
from tests.unit.conftest import Log
from tests.unit.functions import bodies
from tests.unit.functions.answers import ask
from tests.unit.functions.calls import Calls
from tests.unit.functions.template import functions
from tests.unit.stand_ins import Painter, model_of

# The function of the methods that a path does not have is tested by itself.
ROUTES = {
    module: function.routes[0]
    for module, function in functions().items()
    if function.routes and function.routes[0].method != "ANY"
}
WITH_BODIES = [module for module, route in ROUTES.items() if route.method in ("POST", "PATCH")]


def handler_of(module: str) -> ModuleType:
    return importlib.import_module(module)


def identity_for(module: str) -> dict[str, Any] | None:
    """What the gateway's authorizer says of the caller, where there is one."""
    return tokens.claims() if ROUTES[module].protected else None


def refused_by(module: str) -> dict[str, tuple[int, str | None]]:
    """The bodies that a call refuses, whose limit and whose fields are its own."""
    api, route = handler_of(module).handler, ROUTES[module]
    parameters = inspect.signature(api.routes[route.method, route.path].function).parameters.values()
    (model,) = (each.annotation for each in parameters if hasattr(each.annotation, "model_fields"))
    requires_a_field = any(field.is_required() for field in model.model_fields.values())
    return bodies.refused(api.max_body_bytes, requires_a_field=requires_a_field)


@pytest.fixture
def limited() -> Iterator[ModuleType]:
    """A function that is asked too often."""
    api = Api()

    @api.get("/limited", operation_id="getLimited")
    def answer() -> None:
        raise TooManyRequests("Slow down.", retry_after=7)

    function = ModuleType("limited")
    function.handler = api  # type: ignore[attr-defined]
    return function


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize("module", WITH_BODIES)
def test_no_call_accepts_a_body_that_is_not_its_request(gateway: Gateway, module: str) -> None:
    route, parameters = ROUTES[module], {"id": "x"}
    for name, (status, body) in refused_by(module).items():
        event = gateway(route.method, route.path, parameters=parameters, body=body, identity=identity_for(module))
        assert ask(handler_of(module), event).problem(status), name


@pytest.mark.parametrize("module", WITH_BODIES)
def test_no_call_accepts_a_body_that_is_not_text(module: str) -> None:
    method, path, identity = ROUTES[module].method, ROUTES[module].path, identity_for(module)
    for body in [*map(events.in_base64, bodies.BINARY.values()), "{}", "a", "eyJ9=", "é", "===="]:
        event = events.aws(method, path, parameters={"id": "x"}, body=body, base64_encoded=True, identity=identity)
        ask(handler_of(module), event).problem(400)


@pytest.mark.parametrize("depth", [10, 300, 900, 1100, 5000])
def test_no_depth_of_a_body_is_an_error_of_ours(depth: int) -> None:
    for body in ("[" * depth + "]" * depth, '{"prompt":' * depth + "1" + "}" * depth):
        answer = ask(handler_of("image.generate"), events.aws("POST", "/image/generate", body=body))
        assert answer.status in (400, 422)
        answer.problem(answer.status)


def test_a_body_may_be_as_large_as_the_longest_request(painter: Painter) -> None:
    generate = handler_of("image.generate")
    at_most = '{"prompt": ""' + " " * (MAX_BODY_BYTES - 14) + "}"
    assert len(at_most) == MAX_BODY_BYTES
    ask(generate, events.aws("POST", "/image/generate", body=at_most)).problem(422)
    ask(generate, events.aws("POST", "/image/generate", body=at_most + " ")).problem(413)
    assert painter.asked == []


@pytest.mark.usefixtures("bucket", "painter")
@pytest.mark.parametrize("prompt", ["caf\ufffd", "\ufffd", "\ufeffa"])
def test_bytes_and_escapes_can_say_any_character(gateway: Gateway, prompt: str) -> None:
    escaped = gateway("POST", "/image/generate", body=json.dumps({"prompt": prompt}))
    raw = events.in_base64(json.dumps({"prompt": prompt}, ensure_ascii=False).encode())
    for event in (escaped, gateway("POST", "/image/generate", body=raw, base64_encoded=True)):
        answer = ask(handler_of("image.generate"), event)
        assert answer.status == 201, answer.body
        assert answer.json["prompt"] == prompt


def test_a_text_in_which_bytes_may_have_been_lost_is_refused_and_says_how_to_send_the_character(
    gateway: Gateway, painter: Painter
) -> None:
    lossy = b'{"prompt": "caf\xe9"}'.decode(errors="replace")
    problem = ask(handler_of("image.generate"), gateway("POST", "/image/generate", body=lossy)).problem(400)
    assert "\\ufffd" in problem["detail"]
    assert painter.asked == []


@pytest.mark.usefixtures("bucket", "painter")
def test_a_byte_order_mark_before_the_json_is_passed_over(gateway: Gateway) -> None:
    text = '\ufeff{"prompt": "a fox"}'
    raw = events.in_base64(text.encode())
    for event in (
        gateway("POST", "/image/generate", body=text),
        gateway("POST", "/image/generate", body=raw, base64_encoded=True),
    ):
        assert ask(handler_of("image.generate"), event).json["prompt"] == "a fox"


@pytest.mark.usefixtures("bucket", "painter")
def test_a_number_of_any_length_is_json(gateway: Gateway) -> None:
    digits = "9" * 5000
    known = ask(handler_of("image.generate"), gateway("POST", "/image/generate", body=f'{{"seed": {digits}}}'))
    (error,) = [error for error in known.problem(422)["errors"] if error["field"] == "seed"]
    assert error["message"] == "Input should be less than or equal to 2147483647"
    unknown = gateway("POST", "/image/generate", body=f'{{"prompt": "a fox", "x": [-{digits}, {digits}]}}')
    assert ask(handler_of("image.generate"), unknown).status == 201


# ---------------------------------------------------------------- routes and headers


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("module", [module for module, route in ROUTES.items() if route.method == "GET"])
def test_head_is_answered_as_get_without_the_body(gateway: Gateway, module: str) -> None:
    path, parameters = ROUTES[module].path, {"id": "x"}
    get = ask(handler_of(module), gateway("GET", path, parameters=parameters))
    head = ask(handler_of(module), gateway("HEAD", path, parameters=parameters))
    assert get.status in (200, 401, 404)
    assert (head.status, head.body) == (get.status, "")
    assert head.headers == {**get.headers, "content-length": str(len(get.body.encode()))}


def test_head_is_logged_as_such(log: Log) -> None:
    ask(jwks, events.aws("HEAD", "/.well-known/jwks.json"))
    assert [(line["method"], line["status"]) for line in log.of("request")] == [("HEAD", 200)]


@pytest.mark.parametrize("module", ROUTES)
def test_another_method_or_path_is_404(module: str) -> None:
    function, route, identity = handler_of(module), ROUTES[module], identity_for(module)
    parameters = {"id": "x", "asset": "x"}
    own = {one.method for one in functions()[module].routes if one.path == route.path}
    own |= {"HEAD"} if "GET" in own else set()
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - own:
        ask(function, events.aws(method, route.path, parameters=parameters, body="{}", identity=identity)).problem(404)
    if "HEAD" not in own:
        head = ask(function, events.aws("HEAD", route.path, parameters=parameters, identity=identity))
        assert (head.status, head.body) == (404, "")
    ask(function, events.aws(route.method, "/nothing/here/at/all", body="{}", identity=identity)).problem(404)


@pytest.mark.parametrize("module", ROUTES)
def test_a_page_of_another_origin_may_read_every_answer(module: str) -> None:
    route = ROUTES[module]
    origin = {"Origin": "https://app.example.com"}
    event = events.aws(
        "PUT", route.path, parameters={"id": "x"}, body="{}", headers=origin, identity=identity_for(module)
    )
    refused = ask(handler_of(module), event)
    assert refused.status == 404
    assert refused.headers["access-control-allow-origin"] == "*"
    exposed = {name.strip() for name in refused.headers["access-control-expose-headers"].split(",")}
    assert exposed == {
        "Location",
        "RateLimit-Limit",
        "RateLimit-Remaining",
        "RateLimit-Reset",
        "Retry-After",
        "WWW-Authenticate",
        "X-Request-Id",
    }


@pytest.mark.parametrize("module", WITH_BODIES)
@pytest.mark.parametrize("name", ["not JSON: empty", "too large: 1 MB of prompt", "not valid: an array"])
def test_a_page_of_another_origin_may_read_why_its_body_was_refused(module: str, name: str) -> None:
    (status, body), route = refused_by(module)[name], ROUTES[module]
    headers = {"Origin": "https://app.example.com"}
    event = events.aws(
        route.method, route.path, parameters={"id": "x"}, body=body, headers=headers, identity=identity_for(module)
    )
    answer = ask(handler_of(module), event)
    answer.problem(status)
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("module", ROUTES)
def test_a_preflight_is_answered(module: str) -> None:
    route = ROUTES[module]
    headers = {"Origin": "https://app.example.com", "Access-Control-Request-Method": route.method}
    answer = ask(handler_of(module), events.aws("OPTIONS", route.path, parameters={"id": "x"}, headers=headers))
    assert answer.status == 204
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert allowed >= {"authorization", "content-type", "idempotency-key"}
    assert route.method in answer.headers["access-control-allow-methods"]


def test_the_origin_is_a_setting(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGIN", "https://app.example.com")
    function = ModuleType("another")
    function.handler = Api()  # type: ignore[attr-defined]
    answer = ask(function, gateway("GET", "/", headers={"Origin": "https://app.example.com"}))
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
    foreign = ask(function, gateway("GET", "/", headers={"Origin": "https://evil.example"}))
    assert foreign.headers.get("access-control-allow-origin") != "https://evil.example"


def test_a_rate_limit_tells_when_to_try_again(gateway: Gateway, limited: ModuleType) -> None:
    answer = ask(limited, gateway("GET", "/limited"))
    answer.problem(429)
    assert answer.headers["retry-after"] == "7"


def test_a_request_without_an_id_of_the_gateway_carries_the_invocations() -> None:
    event = events.aws("GET", "/.well-known/jwks.json")
    del event["requestContext"]["requestId"]
    context = events.Context()
    response = jwks.handler(event, context)
    assert response["multiValueHeaders"]["X-Request-Id"] == [context.aws_request_id]


@pytest.mark.parametrize("headers", [None, {}])
def test_an_event_without_headers_is_read(headers: dict[str, str] | None) -> None:
    event = events.aws("POST", "/image/generate", body="{}") | {"headers": headers, "multiValueHeaders": None}
    ask(handler_of("image.generate"), event).problem(422)


# ---------------------------------------------------------------- the log


@pytest.mark.usefixtures("bucket", "painter")
def test_one_line_of_the_log_tells_of_a_request(gateway: Gateway, log: Log) -> None:
    caller = tokens.claims()
    headers = {"Authorization": f"Bearer {tokens.access_token(**caller)}"}
    event = gateway("POST", "/image/generate", body='{"prompt": "a very secret fox"}', headers=headers)
    assert ask(handler_of("image.generate"), event).status == 201
    (line,) = log.of("request")
    assert line["request_id"] == events.REQUEST_ID
    assert (line["method"], line["route"], line["status"]) == ("POST", "/image/generate", 201)
    assert line["user_id"] == caller["sub"]
    assert line["duration_ms"] >= 0
    assert all(line["request_id"] == events.REQUEST_ID for line in log.lines())


def test_the_line_of_a_request_without_a_caller_says_so(log: Log) -> None:
    ask(handler_of("image.generate"), events.aws("POST", "/image/generate"))
    ask(handler_of("image.generate"), events.aws("POST", "/image/generate", body="{}"))
    assert [(line["user_id"], line["status"]) for line in log.of("request")] == [("anonymous", 400), ("anonymous", 422)]


def test_a_caller_is_not_remembered_for_the_next_request(log: Log) -> None:
    me = handler_of("image.list")
    ask(me, events.aws("GET", "/admin/images", query={"limit": "x"}, identity=tokens.claims()))
    ask(me, events.aws("GET", "/admin/images"))
    assert [line["user_id"] for line in log.of("request")][-1] == "anonymous"


def test_the_first_request_of_an_environment_is_its_cold_start(log: Log) -> None:
    function = ModuleType("another")
    function.handler = Api()  # type: ignore[attr-defined]
    for _ in range(2):
        ask(function, events.aws("GET", "/"))
    assert [line["cold_start"] for line in log.of("request")] == [True, False]


def test_a_path_is_logged_as_its_route(gateway: Gateway, log: Log) -> None:
    ask(handler_of("image.get"), gateway("GET", "/image/{id}", parameters={"id": "x"}))
    assert log.of("request")[0]["route"] == "/image/{id}"


@pytest.mark.usefixtures("bucket")
def test_the_log_holds_neither_tokens_nor_prompts_nor_signed_urls(
    all_calls: list[Calls], log: Log, capfd: pytest.CaptureFixture[str]
) -> None:
    token = tokens.access_token()
    headers = {"Authorization": f"Bearer {token}"}
    prompt = "the quick brown fox jumps"
    for calls in all_calls:
        created = calls.post(calls.body(prompt), headers=headers)
        for query in (None, {"redirect": "true"}):
            assert calls.ask("download", created.json["id"], query=query, headers=headers).status in (200, 302)
        refused = {name: [prompt] for name in model_of(calls.service).model_fields}
        calls.post(refused, headers=headers).problem(422)
    handler_of("auth.authorizer").handler(events.token_authorizer(f"Bearer {token}"), None)
    printed = capfd.readouterr()
    written = log.getvalue() + printed.out + printed.err
    assert len(log.of("request")) == 4 * len(all_calls)
    for secret in (
        token,
        token.split(".")[1],
        token.split(".")[2],
        "quick brown",
        "X-Amz-Signature",
        "ana@example.com",
    ):
        assert secret not in written


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("error", [ProviderError("status 503"), PromptRefused("status 400")])
def test_what_a_caller_is_meant_to_see_is_no_bug_in_the_log(
    painter: Painter, error: Exception, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    painter.error = error
    ask(handler_of("image.generate"), events.aws("POST", "/image/generate", body='{"prompt": "a fox"}'))
    assert "exception" not in log.getvalue()
    assert not [record for record in caplog.records if record.name.startswith("aws_lambda_powertools")]


def test_an_error_of_ours_is_logged_with_its_traceback_and_answered_without(log: Log) -> None:
    api = Api()

    @api.get("/broken", operation_id="getBroken")
    def broken() -> None:
        raise RuntimeError("password123 at db.internal")

    function = ModuleType("broken")
    function.handler = api  # type: ignore[attr-defined]
    answer = ask(function, events.aws("GET", "/broken"))
    answer.problem(500)
    assert "password123" not in answer.body
    (line,) = log.of("unhandled error")
    assert line["exception_name"] == "RuntimeError"
    assert line["request_id"] == events.REQUEST_ID
    assert log.of("request")[0]["status"] == 500
