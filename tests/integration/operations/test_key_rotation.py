"""Rotating the signing key while people use the platform."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import jwt
import pytest
import requests

from tests.integration.client import PASSWORD, Api, Platform, User

PAUSE_SECONDS = 0.1


def key_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


@contextmanager
def in_use(*calls: Callable[[], requests.Response]) -> Iterator[tuple[Counter[str], list[str]]]:
    """Repeat each call in a thread of its own; counts the good answers by path, and keeps the other ones.

    With a pause, or the deployment beside them would have no processor.
    """
    good: Counter[str] = Counter()
    bad: list[str] = []
    stop = threading.Event()

    def repeat(call: Callable[[], requests.Response]) -> None:
        while not stop.wait(PAUSE_SECONDS):
            answer = call()
            if answer.ok:
                good[answer.request.path_url] += 1
            else:
                bad.append(f"{answer.request.path_url} {answer.status_code} {answer.text}")

    threads = [threading.Thread(target=repeat, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    try:
        yield good, bad
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.needs("updates")
def test_a_rotation_fails_no_request_and_no_token_that_is_out(platform: Platform, ana: User) -> None:
    out = {"refreshToken": ana.refresh_token}

    def refresh() -> requests.Response:
        answer = Api(ana.url).post("/auth/refresh", out)
        if answer.ok:
            out.update(refreshToken=answer.json()["refreshToken"])
        return answer

    def use_a_new_token() -> requests.Response:
        login = Api(ana.url).post("/auth/login", {"email": ana.email, "password": PASSWORD})
        return Api(ana.url, login.json()["accessToken"]).get("/admin/audios") if login.ok else login

    old = key_of(ana.token or "")
    version = int(platform.parameters()["SigningKeyVersion"]) + 1
    rotating = replace(platform, environment={**platform.environment, "SIGNING_KEY_VERSION": str(version)})
    with in_use(
        lambda: Api(ana.url, ana.token).get("/users/me"),
        lambda: Api(ana.url, ana.token).get("/admin/images"),
        refresh,
        use_a_new_token,
    ) as (good, bad):
        rotating.command("deploy")
    assert not bad
    assert set(good) == {"/users/me", "/admin/images", "/auth/refresh", "/admin/audios"}
    assert min(good.values()) > 5

    assert ana.get("/users/me").status_code == 200
    new = Api(ana.url).post("/auth/refresh", out).json()["accessToken"]
    assert key_of(new) != old
    published = [key["kid"] for key in Api(ana.url).get("/.well-known/jwks.json").json()["keys"]]
    assert {old, key_of(new)} < set(published)
    assert Api(ana.url, new).get("/users/me").status_code == 200
    # The parameter stays as it is now for whoever deploys next.
    platform.environment["SIGNING_KEY_VERSION"] = str(version)
