"""`Idempotency-Key` on a running platform: many calls at once, other callers, and a worker that dies in mid-flight."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote_plus, urljoin
from uuid import uuid4

import pytest
import requests

from tests.integration.client import Api, Platform, User, assert_problem, eventually
from tests.integration.workers import kill_workers, time_limit
from tests.services import SERVICES

AT_ONCE = 20
ROUNDS = 2
SMALL = {"size": "64x64"}
FUNCTION_SECONDS = 15  # 28 in the template; here a crash is waited for


@pytest.fixture
def provider_calls(fakes: dict[str, str]) -> Callable[[str], int]:
    """How often the fake providers were asked for a prompt that contains a text without spaces."""

    def count(text: str) -> int:
        urls = [urljoin(fakes[name], "/_fake/requests") for name in ("POLLINATIONS_KEYLESS_URL", "GTTS_URL")]
        recorded = [request for url in urls for request in requests.get(url, timeout=120).json()]
        return sum(text in unquote_plus(request["target"] + request["body"]) for request in recorded)

    return count


@pytest.mark.parametrize(("service", "body"), [("image", SMALL), ("tts", {"voice": "en"})])
def test_what_is_asked_for_twenty_times_at_once_is_made_once(
    platform: Platform,
    api: Api,
    ana: User,
    provider_calls: Callable[[str], int],
    service: str,
    body: dict[str, str],
) -> None:
    path, made = f"/{service}/generate", []
    warm(api, path, body)
    for _ in range(ROUNDS):
        word, key = uuid4().hex, uuid4().hex
        wanted = body | {"prompt": f"hello {word} [[slow:0.5]]"}
        first = at_once(ana, path, wanted, key)
        made.append(first.json()["id"])
        again = ana.post(path, wanted, headers={"Idempotency-Key": key})
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["Location"] == first.headers["Location"] == f"/{service}/{made[-1]}"
        assert provider_calls(word) == 1
    assert_made_once(platform, service, ana, made)


def warm(api: Api, path: str, body: dict[str, str]) -> None:
    """Let the function have as many environments as it will need at once: a cold start would put calls in a row."""

    def post(number: int) -> None:
        wanted, key = body | {"prompt": f"hello {number} [[slow:3]]"}, {"Idempotency-Key": uuid4().hex}
        assert Api(api.url).post(path, wanted, headers=key).status_code == 201

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(post, range(AT_ONCE)))


def at_once(user: User, path: str, body: dict[str, str], key: str) -> requests.Response:
    """One of the answers to many equal requests at once, which conflict or are answered equally."""
    start = threading.Barrier(AT_ONCE)

    def post(_number: int) -> requests.Response:
        client = Api(user.url, user.token)
        start.wait(120)
        return client.post(path, body, headers={"Idempotency-Key": key})

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(post, range(AT_ONCE)))
    made = [answer for answer in answers if answer.status_code == 201]
    conflicts = [answer for answer in answers if answer.status_code != 201]
    print(f"{len(made)} answers, {len(conflicts)} conflicts")
    assert {answer.content for answer in made} == {made[0].content}
    for answer in conflicts:
        assert assert_problem(answer, 409)["type"].endswith(":idempotency-key-in-use")
        assert int(answer.headers["Retry-After"]) > 0
    return made[0]


def assert_made_once(platform: Platform, service: str, user: User, made: list[str]) -> None:
    """The user has these generations and no other ones: a record each, a line each."""
    assert eventually(lambda: len(platform.lines(service, user.id)) >= len(made))
    assert [line["id"] for line in platform.lines(service, user.id)] == made
    listing = next(f"/admin/{each.plural}" for each in SERVICES if each.name == service)
    assert [item["id"] for item in user.get(listing).json()["items"]] == made[::-1]
    records = [key for key in platform.keys(service, "requests/") if key.endswith("record.json")]
    owners = [json.loads(platform.read(service, key))["userId"] for key in records]
    assert owners.count(user.id) == len(made)


def test_a_key_belongs_to_its_caller_and_to_one_request(api: Api, ana: User, bob: User) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    callers = (ana, bob, api)
    made = [caller.post("/image/generate", SMALL | {"prompt": "a cat"}, headers=key) for caller in callers]
    assert [answer.status_code for answer in made] == [201, 201, 201]
    assert [answer.json()["userId"] for answer in made] == [ana.id, bob.id, None]
    assert len({answer.json()["id"] for answer in made}) == 3
    for caller, first in zip(callers, made, strict=True):
        again = caller.post("/image/generate", SMALL | {"prompt": " a cat "}, headers=key)
        assert again.json() == first.json()
        other = assert_problem(caller.post("/image/generate", SMALL | {"prompt": "a dog"}, headers=key), 422)
        assert other["type"].endswith(":idempotency-key-reused")
        assert caller.post("/tts/generate", {"prompt": "a cat"}, headers=key).json()["service"] == "tts"


def test_a_text_that_is_no_key_is_refused(ana: User) -> None:
    for key in ("", "a b", "x" * 256):
        answer = ana.post("/image/generate", SMALL | {"prompt": "a cat"}, headers={"Idempotency-Key": key})
        assert [error["field"] for error in assert_problem(answer, 422)["errors"]] == ["idempotency-key"]


def test_a_refusal_of_the_provider_is_not_remembered(api: Api, provider_calls: Callable[[str], int]) -> None:
    word, key = uuid4().hex, {"Idempotency-Key": uuid4().hex}
    for _ in range(2):
        refused = api.post("/image/generate", SMALL | {"prompt": f"a cat {word} [[refuse]]"}, headers=key)
        assert assert_problem(refused, 422)["type"].endswith(":prompt-refused")
    assert provider_calls(word) == 2
    assert api.post("/image/generate", SMALL | {"prompt": f"a cat {word}"}, headers=key).status_code == 201


def test_a_key_whose_table_cannot_be_reached_is_503(platform: Platform, ana: User) -> None:
    body = SMALL | {"prompt": "a cat"}
    with platform.variables("ImageGenerateFunction", IDEMPOTENCY_TABLE="no-such-table"):
        answer = ana.post("/image/generate", body, headers={"Idempotency-Key": uuid4().hex})
        assert_problem(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0
        assert ana.post("/image/generate", body).status_code == 201
    assert eventually(lambda: len(platform.lines("image", ana.id)) == 1)


# ---------------------------------------------------------------- a crash


@pytest.mark.needs("launcher")
def test_a_crash_in_mid_flight_holds_the_key_no_longer_than_the_functions_time_limit(
    platform: Platform, fakes: dict[str, str], ana: User, provider_calls: Callable[[str], int]
) -> None:
    word, key = uuid4().hex, {"Idempotency-Key": uuid4().hex}
    body = SMALL | {"prompt": f"a cat {word}"}
    with time_limit(platform, "ImageGenerateFunction", FUNCTION_SECONDS), ThreadPoolExecutor(1) as pool:
        next_one = urljoin(fakes["POLLINATIONS_KEYLESS_URL"], "/_fake/next")
        requests.post(next_one, json=[f"slow:{FUNCTION_SECONDS / 2}"], timeout=120).raise_for_status()
        crashing = pool.submit(Api(ana.url, ana.token).post, "/image/generate", body, headers=key)
        assert eventually(lambda: provider_calls(word) == 1)
        asked = time.monotonic()
        assert kill_workers(platform, "ImageGenerateFunction") > 0
        assert crashing.result().status_code in (500, 502)

        assert_problem(ana.post("/image/generate", body, headers=key), 409)
        assert time.monotonic() - asked < FUNCTION_SECONDS

        def retried() -> requests.Response | None:
            answer = ana.post("/image/generate", body, headers=key)
            return None if answer.status_code == 409 else answer

        made = eventually(retried)
        print(f"free after {time.monotonic() - asked:.1f} s")
    assert made is not None
    assert made.status_code == 201, made.text
    assert ana.post("/image/generate", body, headers=key).content == made.content
    assert provider_calls(word) == 2
    assert_made_once(platform, "image", ana, [made.json()["id"]])
