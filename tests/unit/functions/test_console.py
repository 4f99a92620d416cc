"""The console: its page, the files that it loads, and the session that it stays logged in with."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from auth import refresh
from console import files, page, session
from tests import events
from tests.events import Gateway
from tests.unit.conftest import Log
from tests.unit.functions.accounts_plane import (  # noqa: F401
    Person,
    configured,
    environment,
    post,
)
from tests.unit.functions.answers import Answer, ask
from tests.unit.functions.template import ROOT
from tts.generate import VOICES

FOLDER = ROOT / "functions" / "console"
SCRIPTS = {path.name: path.read_text() for path in sorted((FOLDER / "static").glob("*.js"))}
LANGUAGES = ("en", "es")
BUCKETS = {"IMAGE_BUCKET": "pictures-1", "TTS_BUCKET": "speech-1", "AWS_REGION": "eu-west-1"}
# Texts whose names are put together: what stands before the part that varies.
COMPOSED = ("page.", "lead.", "service.", "theme.", "problem.", "pictures.", "summaries.")


@pytest.fixture
def _storage(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("S3_PUBLIC_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in BUCKETS.items():
        monkeypatch.setenv(name, value)


def opened(gateway: Gateway = events.aws) -> Answer:
    return ask(page, gateway("GET", "/console"))


def asset(name: str, version: str | None = None, gateway: Gateway = events.aws) -> Answer:
    parameters = {"version": version or files.version(), "asset": name}
    return ask(page, gateway("GET", "/console/assets/{version}/{asset}", parameters=parameters))


@pytest.mark.parametrize("host", ["[::1]:3000", "a:b:c", "", "example.com:x"])
def test_it_is_at_any_name_of_its_host(host: str) -> None:
    assert ask(page, events.aws("GET", "/console", headers={"Host": host})).status == 200


def test_a_bug_in_it_is_told_and_answered_as_any(monkeypatch: pytest.MonkeyPatch, log: Log) -> None:
    def broken(_prefix: str) -> str:
        raise RuntimeError("a secret")

    monkeypatch.setattr(files, "page", broken)
    answer = opened()
    answer.problem(500)
    assert "secret" not in answer.body
    assert log.of("unhandled error")[0]["exception_name"] == "RuntimeError"


def directives(policy: str) -> dict[str, list[str]]:
    return {name: values for name, *values in (each.split() for each in policy.split("; "))}


# ---------------------------------------------------------------- page


@pytest.mark.usefixtures("_storage")
def test_the_page_runs_and_loads_nothing_but_its_own_files(gateway: Gateway) -> None:
    answer = opened(gateway)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["cache-control"] == "no-cache"
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", answer.body) == []
    references = re.findall(r'(?:src|href)="([^"]+)"', answer.body)
    own = re.compile(rf"console/assets/{files.version()}/([\w.-]+)")
    assert references
    for reference in references:
        match = own.fullmatch(reference)
        assert match, reference
        assert asset(match[1]).status == 200


@pytest.mark.usefixtures("_storage")
def test_its_policy_lets_in_no_script_of_others_and_pictures_of_this_stacks_buckets_alone() -> None:
    policy = directives(opened().headers["content-security-policy"])
    stored = [
        f"https://{bucket}.s3.{place}amazonaws.com"
        for bucket in ("pictures-1", "speech-1")
        for place in ("", "eu-west-1.")
    ]
    assert policy == {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", *stored],
        "media-src": stored,
        "connect-src": ["'self'", *stored],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
        "require-trusted-types-for": ["'script'"],
        "trusted-types": ["dompurify"],
    }


@pytest.mark.parametrize("name", ["S3_PUBLIC_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
def test_where_s3_is_elsewhere_pictures_come_from_there(name: str) -> None:
    policy = directives(files.policy(BUCKETS | {name: "http://localhost:4566"}))
    assert policy["img-src"] == ["'self'", "http://localhost:4566"]


@pytest.mark.usefixtures("_storage")
def test_its_links_hold_behind_a_stage_with_a_slash_at_the_end_and_without() -> None:
    event = events.aws("GET", "/console")
    for path, start in (("/dev/console", "console/assets/"), ("/dev/console/", "assets/")):
        event["requestContext"]["path"] = path
        body = ask(page, event).body
        assert all(link.startswith(start) for link in re.findall(r'(?:src|href)="([^"]+)"', body))
    assert 'data-docs="../docs"' in body


def test_every_file_is_served_with_its_type_and_never_changes_at_its_address(gateway: Gateway) -> None:
    types = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
    sources = [path for folder in ("static", "vendor") for path in (FOLDER / folder).iterdir() if path.suffix in types]
    assert len({path.name for path in sources}) == len(sources)
    for path in sources:
        answer = asset(path.name, gateway=gateway)
        assert (answer.status, answer.body) == (200, path.read_text())
        assert answer.headers["content-type"] == types[path.suffix]
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        # Lambda answers with at most 6 MB, as JSON.
        assert len(json.dumps(answer.body)) < 5_000_000


@pytest.mark.parametrize(
    "name", ["index.html", "packages.json", "preact.LICENSE", "..", "../page.py", "x.js", "%2e%2e"]
)
def test_no_other_file_is_served(gateway: Gateway, name: str) -> None:
    asset(name, gateway=gateway).problem(404)


def test_a_file_of_another_version_is_not_there() -> None:
    assert asset("main.js", "0123456789abcdef").problem(404)["detail"].endswith("load the page anew.")


@pytest.mark.usefixtures("_storage")
def test_a_head_of_the_page_has_its_headers_and_no_body() -> None:
    answer = ask(page, events.aws("HEAD", "/console"))
    assert (answer.status, answer.body) == (200, "")
    assert answer.headers["content-length"] == str(len(opened().body.encode()))


def test_scripts_import_what_there_is() -> None:
    for name, text in files.assets().items():
        if name.endswith(".js") and name != "texts.js":
            for other in re.findall(r"""(?:from|import)\s*\(?\s*["']([\w./-]+)["']""", text):
                if other.startswith("."):
                    assert other.removeprefix("./") in files.assets(), (name, other)
                else:
                    assert name not in SCRIPTS, (name, other)


def test_no_script_of_ours_makes_markup_or_code_of_text() -> None:
    forbidden = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc")
    assert [name for name, text in SCRIPTS.items() if forbidden.search(text)] == []


def test_each_package_of_others_comes_with_its_licence_and_says_which_it_is() -> None:
    packages = json.loads((FOLDER / "vendor" / "packages.json").read_text())
    kept = {name for told in packages.values() for name in told["files"].values()} | {"icons.js", "packages.json"}
    assert {path.name for path in (FOLDER / "vendor").iterdir()} == kept
    for told in packages.values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", told["version"])
        assert told["integrity"].startswith("sha512-")
        assert any(name.endswith(".LICENSE") for name in told["files"].values())


# ---------------------------------------------------------------- texts


def texts() -> dict[str, dict[str, str]]:
    source = SCRIPTS["texts.js"]
    found: dict[str, dict[str, str]] = json.loads(source[source.index("{") : source.rindex("}") + 1])
    return found


def named() -> set[str]:
    """What in the scripts looks like the name of a text."""
    groups = "|".join(sorted({name.partition(".")[0] for name in texts()}))
    sources = "\n".join(text for name, text in SCRIPTS.items() if name != "texts.js")
    return set(re.findall(rf'"((?:{groups})\.[A-Za-z0-9-]+)"', sources))


def test_every_text_is_there_in_each_language() -> None:
    for name, told in texts().items():
        assert set(told) == set(LANGUAGES), name
        assert all(text.strip() for text in told.values()), name
        holes = [sorted(set(re.findall(r"\{(\w+)\}", text))) for text in told.values()]
        assert holes[0] == holes[1], name


def test_every_text_that_is_asked_for_is_in_the_catalogue_and_no_other() -> None:
    known = {re.sub(r"\.(one|other)$", "", name) for name in texts()}
    assert named() - known == set()
    unused = {name for name in known - named() if not name.startswith(COMPOSED)}
    assert unused == set()


def test_a_number_has_a_text_for_one_and_for_others() -> None:
    for name in texts():
        if name.endswith(".one"):
            assert name.removesuffix("one") + "other" in texts()


def test_the_page_offers_the_voices_that_there_are() -> None:
    (listed,) = re.findall(r'VOICES = "([^"]+)"', SCRIPTS["speech.js"])
    assert listed.split() == VOICES


# ---------------------------------------------------------------- session

TOKEN = "/console/session/token"
in_environment = pytest.mark.usefixtures("environment")


def begin(
    body: Any = None, cookie: str | None = None, gateway: Gateway = events.aws, method: str = "POST", **headers: str
) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if cookie is not None:
        sent["Cookie"] = f"other=1; console_session={cookie}"
    return ask(session, gateway(method, TOKEN, body=json.dumps({} if body is None else body), headers=sent))


def kept(answer: Answer) -> str:
    """The refresh token in the cookie that an answer sets."""
    return answer.headers["set-cookie"].partition("=")[2].partition(";")[0]


@in_environment
def test_a_login_is_exchanged_for_a_cookie_that_no_script_reads(gateway: Gateway) -> None:
    ana = Person.new()
    answer = begin({"refreshToken": ana.refresh_token}, gateway=gateway)
    assert answer.status == 200
    assert set(answer.json) == {"accessToken", "expiresIn"}
    assert answer.headers["cache-control"] == "no-store"
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name == f"console_session={kept(answer)}"
    assert {"HttpOnly", "SameSite=Strict", "Max-Age=2592000"} <= set(attributes)
    assert kept(answer) not in answer.body
    assert kept(answer) != ana.refresh_token


@in_environment
def test_the_cookie_travels_by_tls_alone_but_on_this_machine() -> None:
    cookies = {
        host: begin({"refreshToken": Person.new().refresh_token}, Host=host).headers["set-cookie"]
        for host in ("api.example.com", "localhost:3000", "127.0.0.1:3000", "localhost.example.com")
    }
    assert {host for host, cookie in cookies.items() if "Secure" in cookie} == {
        "api.example.com",
        "localhost.example.com",
    }


@in_environment
def test_the_cookie_is_exchanged_each_time(gateway: Gateway) -> None:
    ana = Person.new()
    first = begin({"refreshToken": ana.refresh_token}, gateway=gateway)
    second = begin(cookie=kept(first), gateway=gateway)
    assert (second.status, kept(second) == kept(first)) == (200, False)
    assert begin(cookie=kept(second), gateway=gateway).status == 200


@in_environment
def test_nobody_is_told_that_nobody_is_logged_in(gateway: Gateway) -> None:
    answer = begin(gateway=gateway)
    assert (answer.status, answer.body) == (204, "")
    assert "set-cookie" not in answer.headers


@in_environment
@pytest.mark.parametrize("cookie", ["", "nothing", "x" * 2000, "ä"])
def test_a_cookie_that_is_not_good_is_taken_away(cookie: str) -> None:
    answer = begin(cookie=cookie)
    assert answer.status == 204
    assert cookie in ("", "ä") or "console_session=; Max-Age=0" in answer.headers["set-cookie"]


@in_environment
def test_a_refresh_token_that_is_not_good_is_refused() -> None:
    begin({"refreshToken": "nothing"}).problem(401)
    begin({"refreshToken": 7}).problem(422)


@in_environment
def test_another_login_ends_the_session_before() -> None:
    ana, bob = Person.new(), Person.new()
    before = begin({"refreshToken": ana.refresh_token})
    assert begin({"refreshToken": bob.refresh_token}, cookie=kept(before)).status == 200
    assert post(refresh, {"refreshToken": kept(before)}).status == 401


@in_environment
def test_logging_out_ends_the_session_and_takes_the_cookie(gateway: Gateway) -> None:
    cookie = kept(begin({"refreshToken": Person.new().refresh_token}))
    answer = begin(cookie=cookie, gateway=gateway, method="DELETE")
    assert (answer.status, answer.body) == (204, "")
    assert "console_session=; Max-Age=0" in answer.headers["set-cookie"]
    assert post(refresh, {"refreshToken": cookie}).status == 401
    assert begin(gateway=gateway, method="DELETE").status == 204


FOREIGN = [
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
]


@in_environment
def test_a_host_that_is_none_gets_a_cookie_for_tls_alone() -> None:
    answer = begin(cookie="x", method="DELETE", Host="[::1")
    assert answer.status == 204
    assert answer.headers["set-cookie"].endswith("; Secure")


@in_environment
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_page_of_others_is_refused(method: str, headers: dict[str, str]) -> None:
    ana = Person.new()
    cookie = kept(begin({"refreshToken": ana.refresh_token}))
    answer = begin(cookie=cookie, method=method, Host="api.example.com", **headers)
    answer.problem(403)
    assert "set-cookie" not in answer.headers
    assert begin(cookie=cookie).status == 200


@in_environment
@pytest.mark.parametrize(
    "headers", [{"Sec_Fetch_Site": "same-origin"}, {"Origin": "https://api.example.com"}, {}], ids=str
)
def test_the_pages_own_requests_are_not(headers: dict[str, str]) -> None:
    assert begin({"refreshToken": Person.new().refresh_token}, Host="api.example.com", **headers).status == 200


def test_the_licences_are_where_the_files_are() -> None:
    assert all(Path(path).stat().st_size > 500 for path in (FOLDER / "vendor").glob("*.LICENSE"))
