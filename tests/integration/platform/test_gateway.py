"""The local API answers what the template says of gateway responses and preflights, as on AWS."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.platform.platforms import Platform

pytestmark = pytest.mark.needs("launcher")


def test_call_without_a_token_gets_the_templates_401(running: Platform) -> None:
    answer = running.get("/protected")

    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json() == {"kind": "unauthorized", "requestId": answer.headers["X-Request-Id"]}


def test_authorizer_that_raises_unauthorized_gets_the_templates_401(running: Platform) -> None:
    answer = running.get("/protected", Authorization="Bearer unknown")

    assert (answer.status, answer.json()["kind"]) == (401, "unauthorized")


def test_denied_token_gets_the_authorizers_words_also_from_the_cache(running: Platform) -> None:
    for _attempt in range(2):
        answer = running.get("/protected", Authorization="Bearer bad")

        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')
        assert answer.json() == {"kind": "denied", "reason": 'the "bad" one'}


def test_denial_of_one_caller_says_nothing_of_another(running: Platform) -> None:
    def reason(token: str) -> str:
        answer = running.get("/protected", Authorization=token)
        return str(answer.json().get("kind", answer.status))

    tokens = ["Bearer bad", "Bearer good", "Bearer unknown"] * 8
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(reason, tokens))

    assert answers == ["denied", "200", "unauthorized"] * 8


def test_allowed_token_reaches_the_function(running: Platform) -> None:
    assert running.get("/protected", Authorization="Bearer good").status == 200


def test_missing_route_gets_the_templates_answer(running: Platform) -> None:
    answer = running.get("/nowhere")

    assert (answer.status, answer.json()) == (404, {"kind": "no-route"})


def test_burst_gets_the_templates_429(running: Platform) -> None:
    answers = [running.get("/rare") for _call in range(5)]

    throttled = [answer for answer in answers if answer.status == 429]
    assert throttled
    assert throttled[0].headers["Retry-After"] == "1"
    assert throttled[0].json() == {"kind": "throttled"}


def test_failing_function_is_a_502_that_tells_nothing(running: Platform) -> None:
    for failure in ("raise", "nonsense"):
        answer = running.get(f"/public/{failure}")

        assert answer.status == 502
        assert answer.json()["kind"] == "error"
        assert b"secret detail" not in answer.body


def test_function_that_times_out_is_a_5xx_in_the_templates_words(running: Platform) -> None:
    answer = running.get("/public/slow")

    assert (answer.status, answer.json()["kind"]) == (502, "error")


def test_answer_without_a_body_is_not_an_error(running: Platform) -> None:
    answer = running.get("/public/empty")

    assert (answer.status, answer.body) == (204, b"")


def test_preflight_has_the_templates_headers(running: Platform) -> None:
    answer = running.get("/protected", "OPTIONS", Origin="https://app.example.com")

    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert answer.headers["Access-Control-Allow-Headers"] == "Authorization"
    assert answer.headers["Access-Control-Allow-Methods"] == "GET"
    assert answer.headers["Access-Control-Max-Age"] == "600"
