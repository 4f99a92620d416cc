"""The platform while PostgreSQL is stopped, and after its return."""

from collections.abc import Iterator

import pytest

from tests.integration.client import PASSWORD, Api, Platform, User, assert_problem, eventually

SMALL = {"prompt": "a cat", "size": "64x64"}


@pytest.fixture(scope="module")
def survivor(platform: Platform) -> User:
    """Somebody who logged in before."""
    return User.register(platform.api_url)


@pytest.fixture(scope="module")
def _stopped(platform: Platform, survivor: User) -> Iterator[None]:
    platform.command("database", "stop")
    yield
    platform.command("database", "start")


@pytest.mark.usefixtures("_stopped")
def test_a_token_still_generates_and_lists(platform: Platform, survivor: User) -> None:
    made = survivor.post("/image/generate", SMALL)
    assert made.status_code == 201
    assert eventually(lambda: platform.lines("image", survivor.id))
    assert [item["id"] for item in survivor.get("/admin/images").json()["items"]] == [made.json()["id"]]


@pytest.mark.usefixtures("_stopped")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/auth/login", {"email": "ana@example.com", "password": PASSWORD}),
        ("/auth/register", {"email": "new@example.com", "password": PASSWORD}),
        ("/auth/refresh", {"refreshToken": "A" * 64}),
        ("/auth/logout", {"refreshToken": "A" * 64}),
    ],
)
def test_accounts_answer_503_and_when_to_try_again(api: Api, path: str, body: dict[str, str]) -> None:
    answer = api.post(path, body)
    assert_problem(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.usefixtures("_stopped")
def test_who_am_i_is_503(survivor: User) -> None:
    assert_problem(survivor.get("/users/me"), 503)


@pytest.mark.usefixtures("_stopped")
def test_health_tells_which_part_is_down(api: Api) -> None:
    assert api.get("/healthz").status_code == 200
    problem = assert_problem(api.get("/healthz?deep=true"), 503)
    assert problem["parts"] == {"postgresql": "down", "signingKeys": "ok", "s3": "ok", "dynamodb": "ok"}


def test_after_its_return_all_works_again(request: pytest.FixtureRequest, platform: Platform, survivor: User) -> None:
    request.getfixturevalue("_stopped")
    platform.command("database", "start")
    assert survivor.post("/auth/login", {"email": survivor.email, "password": PASSWORD}).status_code == 200
    assert User.register(platform.api_url).get("/users/me").status_code == 200
    assert survivor.get("/healthz?deep=true").status_code == 200
