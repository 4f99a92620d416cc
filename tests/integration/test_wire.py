"""What HTTP itself can carry, through the gateway: bytes that are no text, paths that hide a character, HEAD, the root."""

import re
from typing import Any
from urllib.parse import urljoin
from uuid import uuid4

import pytest
import requests

from tests.integration.client import Api, Platform, User, assert_problem

SMALL = {"prompt": "a cat", "size": "64x64"}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture(params=["at the root", "behind the stage"])
def base(request: pytest.FixtureRequest, platform: Platform) -> str:
    """The address of the API, as clients of a domain of its own and as clients of the gateway's know it."""
    if request.param == "at the root":
        return platform.api_url
    return f"http://localhost:{platform.aws_port}/_aws/execute-api/{platform.resource('Api')}/{platform.stage}"


def send(base: str, method: str, path: str, content: bytes | None = None, **headers: str) -> requests.Response:
    """Send a request whose path and body arrive as they are written here."""
    request = requests.Request(method, base, data=content, headers=headers).prepare()
    request.url = base + path
    with requests.Session() as session:
        return session.send(request, allow_redirects=False, timeout=60)


# ---------------------------------------------------------------- bytes


@pytest.mark.needs("raw_bodies")
@pytest.mark.parametrize(
    "content", ['{"prompt": "café"}'.encode("latin-1"), b'{"prompt": "\xf0\x9f\x98"}', b"\xff\xfe{\x00}\x00", b"\x80"]
)
def test_bytes_that_are_not_utf_8_are_400_on_every_call_with_a_body(base: str, content: bytes) -> None:
    for path in ("/auth/register", "/auth/login", "/image/generate", "/tts/generate"):
        for kind in ("application/json", "text/plain", "application/json; charset=iso-8859-1"):
            assert_problem(send(base, "POST", path, content, **{"Content-Type": kind}), 400)


@pytest.mark.needs("raw_bodies", "exact_bodies")
def test_two_passwords_that_differ_in_bytes_are_not_taken_for_one(api: Api) -> None:
    account = f'{{"email": "{uuid4().hex}@example.com", "password": "pass%sword"}}'
    for letter in ("é", "è"):
        assert_problem(send(api.url, "POST", "/auth/register", (account % letter).encode("latin-1")), 400)
    assert send(api.url, "POST", "/auth/register", (account % "é").encode()).status_code == 201
    assert_problem(send(api.url, "POST", "/auth/login", (account % "è").encode()), 401)
    for lost in ("\ufffd", "\\ufffd"):
        problem = assert_problem(send(api.url, "POST", "/auth/login", (account % lost).encode()), 422)
        assert [error["field"] for error in problem["errors"]] == ["password"]


@pytest.mark.needs("exact_bodies")
@pytest.mark.parametrize("prompt", ["caf\ufffd", "\ufffd", "a\ufeffb"])
def test_a_prompt_may_hold_the_character_that_stands_for_lost_ones(api: Api, prompt: str) -> None:
    for written in (prompt, prompt.encode("ascii", "backslashreplace").decode()):
        content = f'{{"prompt": "{written}", "size": "64x64"}}'.encode()
        made = send(api.url, "POST", "/image/generate", content)
        assert made.status_code == 201, made.text
        assert api.get(f"/image/{made.json()['id']}").json()["prompt"] == prompt


def test_a_byte_order_mark_before_the_json_is_passed_over(api: Api) -> None:
    content = b'\xef\xbb\xbf{"prompt": "a cat", "size": "64x64"}'
    assert send(api.url, "POST", "/image/generate", content).status_code == 201


# ---------------------------------------------------------------- paths


@pytest.mark.needs("gateway_responses", "raw_paths")
@pytest.mark.parametrize(
    "suffix", ["%0A", "%0a", "%2F", "%2f", "%0D%0A", "%2F%0A", "%00", "%20", "%252F", "/", "%2F%2F"]
)
def test_a_path_with_more_than_an_id_is_404_and_deletes_nothing(base: str, ana: User, suffix: str) -> None:
    bearer = {"Authorization": f"Bearer {ana.token}"}
    made = ana.post("/image/generate", SMALL).json()["id"]
    (session,) = ana.get("/auth/sessions").json()["items"]
    for method, path in (
        ("GET", f"/image/{made}{suffix}"),
        ("DELETE", f"/image/{made}{suffix}"),
        ("GET", f"/image/{made}{suffix}/download"),
        ("GET", f"/image/{made}/download{suffix}"),
        ("GET", f"/tts/{made}{suffix}"),
        ("DELETE", f"/tts/{made}{suffix}"),
        ("DELETE", f"/auth/sessions/{session['id']}{suffix}"),
        ("GET", f"/docs/init.js{suffix}"),
    ):
        assert_problem(send(base, method, path, **bearer), 404)
    assert ana.get(f"/image/{made}").status_code == 200
    assert ana.get("/auth/sessions").status_code == 200


@pytest.mark.needs("gateway_responses", "raw_paths")
def test_an_encoded_slash_does_not_reach_the_download(base: str, ana: User) -> None:
    bearer = {"Authorization": f"Bearer {ana.token}"}
    made = ana.post("/image/generate", SMALL).json()["id"]
    for slash in ("%2F", "%2f"):
        assert_problem(send(base, "GET", f"/image/{made}{slash}download", **bearer), 404)
        assert_problem(send(base, "GET", f"/image%2F{made}/download", **bearer), 404)
    assert send(base, "GET", f"/image/{made}/download", **bearer).status_code == 200


# ---------------------------------------------------------------- HEAD


@pytest.mark.needs("head_lengths")
def test_head_is_answered_as_get_without_a_body(base: str, platform: Platform, ana: User) -> None:
    made = ana.post("/image/generate", SMALL).json()["id"]
    described: Any = requests.get(f"{platform.api_url}/openapi.json", timeout=60).json()
    paths = [path for path, item in described["paths"].items() if "get" in item]
    bearer = {"Authorization": f"Bearer {ana.token}"}
    for path in [*paths, f"/image/{made}/download?redirect=true"]:
        path = path.replace("{id}", made).replace("{asset}", "init.js")
        get, head = (send(base, method, path, **bearer) for method in ("GET", "HEAD"))
        assert (head.status_code, head.content) == (get.status_code, b""), path
        for name in ("Content-Type", "Content-Length", "Cache-Control", "RateLimit-Limit", "Vary", "WWW-Authenticate"):
            if "download" not in path or name != "Content-Length":  # a signed URL is a new one each time
                assert head.headers.get(name) == get.headers.get(name), (path, name)
        assert head.headers["X-Request-Id"]
        # A connection on which a body came all the same would be out of step.
    with requests.Session() as session:
        for _ in range(3):
            assert session.head(f"{base}/healthz", timeout=60).status_code == 200
            assert session.get(f"{base}/healthz", timeout=60).json() == {"status": "ok"}


def test_head_needs_the_token_that_get_needs_and_counts_like_it(api: Api, ana: User) -> None:
    assert api.call("HEAD", "/users/me").status_code == 401
    left = [int(ana.call(method, "/users/me").headers["RateLimit-Remaining"]) for method in ("GET", "HEAD", "GET")]
    assert left == [left[0], left[0] - 1, left[0] - 2]


# ---------------------------------------------------------------- the root


def test_the_root_leads_to_the_description_and_the_page(base: str) -> None:
    about = send(base, "GET", "/").json()
    assert about["name"] == "llm-microservices"
    described = requests.get(base + about["links"]["description"], timeout=60).json()
    assert described["info"]["version"] == about["version"]
    page = send(base, "GET", "/", Accept=BROWSER)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    links = re.findall(r'<a href="([^"]+)"', page.text)
    assert [link.rpartition("/")[2] for link in links] == ["console", "docs", "openapi.json", "healthz"]
    assert {requests.get(urljoin(f"{base}/", link), timeout=60).status_code for link in links} == {200}
