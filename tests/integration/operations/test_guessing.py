"""Failed logins delay an account, over HTTP and at once; common passwords are refused where they are."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import requests

from tests.integration.client import PASSWORD, Api, Platform, User, assert_problem

WRONG = "wrong horse battery"


def log_in(url: str, email: str, password: str = WRONG) -> requests.Response:
    return Api(url).post("/auth/login", {"email": email, "password": password})


def at_once(url: str, email: str, password: str, count: int) -> list[requests.Response]:
    """The answers to logins at once."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: log_in(url, email, password), range(count)))


@pytest.fixture(params=["an account", "no account"])
def email(request: pytest.FixtureRequest, platform: Platform) -> str:
    """An email with an account, and one without."""
    if request.param == "an account":
        return User.register(platform.api_url).email
    return f"nobody-{uuid4().hex}@example.com"


@pytest.mark.parametrize("round_of_many", range(3))
def test_of_50_wrong_logins_at_once_5_are_verified(platform: Platform, email: str, round_of_many: int) -> None:
    answers = at_once(platform.api_url, email, WRONG, 50)
    assert Counter(answer.status_code for answer in answers) == {401: 5, 429: 45}
    for answer in answers:
        if answer.status_code == 429:
            problem = assert_problem(answer, 429)
            assert problem["type"].endswith("account-delayed")
            assert 1 <= int(answer.headers["Retry-After"]) <= 30


def test_20_devices_at_once_with_the_right_password_all_get_in(ana: User) -> None:
    answers = at_once(ana.url, ana.email, PASSWORD, 20)
    assert Counter(answer.status_code for answer in answers) == {200: 20}
    assert len(ana.get("/auth/sessions").json()["items"]) == 21


def test_the_right_password_waits_like_a_wrong_one_and_the_session_goes_on(ana: User) -> None:
    for _ in range(5):
        assert_problem(log_in(ana.url, ana.email), 401)
    for password in (PASSWORD, WRONG):
        answer = log_in(ana.url, ana.email, password)
        assert_problem(answer, 429)
        assert 20 <= int(answer.headers["Retry-After"]) <= 30
    assert_problem(ana.post("/auth/password", {"currentPassword": PASSWORD, "newPassword": WRONG}), 429)
    # Who is logged in does not notice.
    assert ana.post("/auth/refresh", {"refreshToken": ana.refresh_token}).status_code == 200


def test_the_delay_is_the_same_for_an_account_that_does_not_exist(ana: User) -> None:
    seen = []
    for email in (ana.email, f"nobody-{uuid4().hex}@example.com"):
        for _ in range(5):
            assert_problem(log_in(ana.url, email), 401)
        answer = log_in(ana.url, email)
        seen.append((assert_problem(answer, 429) | {"requestId": ""}, set(answer.headers)))
    assert seen[0] == seen[1]


def test_a_success_resets_the_count(ana: User) -> None:
    for _ in range(2):
        for _ in range(4):
            assert_problem(log_in(ana.url, ana.email), 401)
        assert log_in(ana.url, ana.email, PASSWORD).status_code == 200


def test_another_account_of_the_same_address_is_not_delayed(ana: User, bob: User) -> None:
    for _ in range(6):
        log_in(ana.url, ana.email)
    assert log_in(ana.url, bob.email, PASSWORD).status_code == 200


def test_a_common_password_is_refused_where_it_is_not_allowed(platform: Platform, ana: User) -> None:
    """The local platform allows them, for the quick start."""
    with platform.variables("RegisterFunction", COMMON_PASSWORDS="refuse"):
        body = {"email": f"user-{uuid4().hex}@example.com", "password": "Football"}
        problem = assert_problem(Api(ana.url).post("/auth/register", body), 422)
        assert [error["field"] for error in problem["errors"]] == ["password"]
        assert Api(ana.url).post("/auth/register", body | {"password": WRONG}).status_code == 201
    with platform.variables("PasswordFunction", COMMON_PASSWORDS="refuse"):
        change = {"currentPassword": PASSWORD, "newPassword": "Football"}
        problem = assert_problem(ana.post("/auth/password", change), 422)
        assert [error["field"] for error in problem["errors"]] == ["newPassword"]
    assert ana.post("/auth/password", change).status_code == 204
