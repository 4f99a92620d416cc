"""Rate limits on the deployed platform: exact, told to the caller, and kept apart by caller."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import requests

from tests.integration.client import PASSWORD, Api, Platform, User, assert_problem

HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def at_once(calls: int, call: Callable[[], requests.Response]) -> list[requests.Response]:
    with ThreadPoolExecutor(calls) as pool:
        return [future.result() for future in [pool.submit(call) for _ in range(calls)]]


def test_of_a_hundred_pictures_at_once_exactly_ten_pass(platform: Platform, ana: User, bob: User) -> None:
    with platform.variables("ImageGenerateFunction", RATE_LIMIT="10"):
        answers = at_once(
            100, lambda: Api(ana.url, ana.token).post("/image/generate", {"prompt": "x", "size": "64x64"})
        )
        assert Counter(answer.status_code for answer in answers) == {201: 10, 429: 90}
        remaining = sorted(
            int(answer.headers["RateLimit-Remaining"]) for answer in answers if answer.status_code == 201
        )
        assert remaining == list(range(10))
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert assert_problem(refused, 429)["type"].endswith(":rate-limited")
        assert 0 < int(refused.headers["Retry-After"]) <= 60
        # Nobody else pays for it, and she may still read.
        assert bob.post("/image/generate", {"prompt": "x", "size": "64x64"}).status_code == 201
        assert ana.get("/admin/images").status_code == 200


@pytest.mark.parametrize(
    ("function", "path"), [("LoginFunction", "/auth/login"), ("RegisterFunction", "/auth/register")]
)
def test_of_a_hundred_calls_from_one_address_exactly_ten_pass(platform: Platform, function: str, path: str) -> None:
    name = uuid4().hex
    with platform.variables(function, RATE_LIMIT="10", RATE_LIMIT_NAME=name):
        # A body that is refused costs as much as any other.
        answers = at_once(100, lambda: Api(platform.api_url).post(path, {}))
        assert Counter(answer.status_code for answer in answers) == {422: 10, 429: 90}


def test_every_answer_of_a_limited_route_tells_what_is_left(ana: User, api: Api) -> None:
    calls = [
        lambda: api.get("/healthz"),
        lambda: api.get("/.well-known/jwks.json"),
        lambda: api.post("/auth/login", {"email": ana.email, "password": PASSWORD}),
        lambda: api.post("/auth/login", {"email": ana.email, "password": "not hers"}),
        lambda: api.post("/auth/refresh", {"refreshToken": "x"}),
        lambda: ana.get("/users/me"),
        lambda: ana.get("/image/nothing"),
        lambda: ana.get("/tts/nothing/download"),
        lambda: ana.get("/admin/audios?limit=0"),
        lambda: ana.post("/image/generate", {}),
        lambda: Api(ana.url, "bad").post("/tts/generate", {"prompt": "x"}),
    ]
    for call in calls:
        answer = call()
        limit, remaining, reset = (int(answer.headers[name]) for name in HEADERS)
        assert 0 <= remaining < limit
        assert 0 < reset <= 60


def test_one_user_uses_up_one_limit_on_all_other_routes(ana: User) -> None:
    paths = ["/users/me", "/admin/images", "/admin/audios", "/image/nothing", "/auth/sessions"]
    left = [int(ana.get(path).headers["RateLimit-Remaining"]) for path in paths]
    assert left == list(range(left[0], left[0] - len(paths), -1))


def test_without_counters_accounts_answer_and_generation_does_not(platform: Platform, ana: User, api: Api) -> None:
    functions = ("LoginFunction", "MeFunction", "TtsGenerateFunction", "ImageGetFunction")
    with platform.variables(*functions, RATE_LIMIT_TABLE="missing"):
        login = api.post("/auth/login", {"email": ana.email, "password": PASSWORD})
        assert login.status_code == 200
        assert "RateLimit-Limit" not in login.headers
        assert ana.get("/users/me").status_code == 200
        for answer in (ana.post("/tts/generate", {"prompt": "x"}), ana.get("/image/nothing")):
            assert_problem(answer, 503)
            assert int(answer.headers["Retry-After"]) > 0


def test_a_parameter_turns_limits_off(platform: Platform, api: Api) -> None:
    with platform.variables("LoginFunction", RATE_LIMIT="1", RATE_LIMIT_TABLE=""):
        answers = [api.post("/auth/login", {}) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {422}
        assert "RateLimit-Limit" not in answers[0].headers
