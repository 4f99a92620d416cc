"""The description of the API, its page, and what a path says to a method that it does not have, through the gateway."""

import hashlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from tests.integration.client import Platform, User, assert_problem

COMMITTED = Path(__file__).resolve().parents[2] / "functions" / "ops" / "openapi.json"
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"}


def get(url: str) -> requests.Response:
    return requests.get(url, timeout=120)


@pytest.fixture(params=["at the root", "behind the stage"])
def base(request: pytest.FixtureRequest, platform: Platform) -> str:
    """The address of the API, as clients of a domain of its own and as clients of the gateway's know it."""
    if request.param == "at the root":
        return platform.api_url
    return f"http://localhost:{platform.aws_port}/_aws/execute-api/{platform.resource('Api')}/{platform.stage}"


@pytest.fixture
def described(platform: Platform) -> Any:
    return get(f"{platform.api_url}/openapi.json").json()


def test_the_committed_description_is_served(base: str) -> None:
    answer = get(f"{base}/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.content == COMMITTED.read_bytes()


def test_the_server_of_the_description_is_where_it_is_read_from(base: str, described: Any) -> None:
    (server,) = described["servers"]
    found = urljoin(f"{base}/openapi.json", server["url"]).rstrip("/")
    assert found == base
    assert get(f"{found}/healthz").json() == {"status": "ok"}


def test_the_page_and_all_that_it_loads_arrive_whole(base: str) -> None:
    page = get(f"{base}/docs")
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    files = re.findall(r'(?:src|href)="(docs/[^"]*\?v=([0-9a-f]{16}))"', page.text)
    assert len(files) == 3
    for reference, digest in files:
        file = get(urljoin(f"{base}/docs", reference))
        assert file.status_code == 200
        assert hashlib.sha256(file.content).hexdigest().startswith(digest)
        assert "immutable" in file.headers["Cache-Control"]
    assert_problem(get(f"{base}/docs/nothing.js"), 404)


def test_a_path_names_its_methods_to_any_other(platform: Platform, described: Any) -> None:
    for path, item in described["paths"].items():
        has = {method.upper() for method in item}
        has |= {"HEAD"} if "GET" in has else set()
        url = platform.api_url + path.replace("{", "").replace("}", "")
        for method in METHODS - has:
            answer = requests.request(method, url, data="no JSON", timeout=120)
            assert set(answer.headers["Allow"].split(", ")) == has | {"OPTIONS"}, f"{method} {path}"
            if method == "HEAD":
                assert answer.status_code == 405
            else:
                assert_problem(answer, 405)


def test_protected_calls_are_those_that_the_description_protects(platform: Platform, described: Any, ana: User) -> None:
    for path, item in described["paths"].items():
        for method, operation in item.items():
            if operation["security"] == [{"accessToken": []}]:
                url = platform.api_url + path.replace("{id}", "01a203f4-c93d-73f7-ad77-fc2ab9452dce")
                assert requests.request(method, url, timeout=120).status_code == 401, f"{method} {path}"
    assert ana.get("/users/me").status_code == 200
