"""What is used on a running platform is counted once, answered by range, and read by Prometheus."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.client import PATIENCE_SECONDS, Api, Platform, User, assert_problem, eventually, free_ports

SMALL = {"prompt": "a cat", "size": "64x64"}
OVERVIEW = "/analytics/overview"


def _overview(user: User, wanted: Callable[[dict[str, Any]], bool], query: str = "") -> dict[str, Any]:
    def ask() -> dict[str, Any] | None:
        answer = user.get(OVERVIEW + query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found if wanted(found) else None

    found = eventually(ask)
    assert found is not None, user.get(OVERVIEW + query).text
    return found


@pytest.fixture
def admin(platform: Platform, bob: User) -> User:
    """A user who is an administrator."""
    platform.operate("promote", bob.email)
    tokens = bob.post("/auth/login", {"email": bob.email, "password": "password123"}).json()
    bob.token = tokens["accessToken"]
    return bob


def _operate(platform: Platform, command: str, **variables: str) -> str:
    # Both days of a night on which the test runs.
    today = str(datetime.now(UTC).date())
    return platform.run("tools.operate", command, "--from", today, "--to", today, **variables)


def test_a_call_counts_once_and_soon(ana: User) -> None:
    ana.get(OVERVIEW)  # so that nothing starts cold
    first = ana.post("/image/generate", SMALL, headers={"Idempotency-Key": "the-same-key"})
    assert first.status_code == 201, first.text
    made = first.json()
    _overview(ana, lambda found: found["requests"] == 1)
    began = time.monotonic()
    ana.post("/image/generate", SMALL)
    _overview(ana, lambda found: found["requests"] == 2)
    assert time.monotonic() - began < PATIENCE_SECONDS
    # A replayed answer is no second use, a refused one a failed call, and a deleted one stays counted.
    assert ana.post("/image/generate", SMALL, headers={"Idempotency-Key": "the-same-key"}).json() == made
    assert ana.call("DELETE", f"/image/{made['id']}").status_code == 204
    assert_problem(ana.post("/image/generate", SMALL | {"prompt": "a cat [[status:400]]"}), 422)
    assert_problem(ana.post("/image/generate", SMALL | {"size": "1x1"}), 422)
    found = _overview(ana, lambda found: found["requests"] == 3)
    assert (found["succeeded"], found["failed"], found["pictures"]) == (2, 1, 2)
    assert found["latencyMs"]["p50"] > 0
    assert found["topServices"] == [{"service": "image", "requests": 3}]


def test_one_sees_ones_own_use_and_administrators_everybodys(ana: User, api: Api, admin: User) -> None:
    ana.post("/tts/generate", {"prompt": "hello", "voice": "en"})
    api.post("/tts/generate", {"prompt": "hello", "voice": "en"})
    own = _overview(ana, lambda found: found["requests"] == 1)
    assert own["userId"] == ana.id
    assert own["audioSeconds"] > 0
    assert "users" not in own
    for query in ("?userId=all", "?userId=anonymous", f"?userId={admin.id}"):
        assert_problem(ana.get(OVERVIEW + query), 403)
    assert_problem(ana.get("/analytics/users"), 403)
    assert api.get(OVERVIEW).status_code == 401

    _overview(admin, lambda found: found["requests"] >= 1, "?userId=anonymous")
    theirs = _overview(admin, lambda found: found["requests"] == 1, f"?userId={ana.id}")
    assert theirs["audioSeconds"] == own["audioSeconds"]
    everybody = _overview(admin, lambda found: found["requests"] >= 2, "?userId=all&tz=Asia/Kathmandu")
    assert everybody["users"] >= 2
    users = [item["userId"] for item in admin.get("/analytics/users?limit=100").json()["items"]]
    assert {ana.id, "anonymous"} <= set(users)


def test_csv_has_the_rows_of_json(ana: User) -> None:
    ana.post("/tts/generate", {"prompt": "hello", "voice": "en"})
    _overview(ana, lambda found: found["requests"] == 1)
    items = ana.get("/analytics/timeseries?tz=America/St_Johns").json()["items"]
    assert sum(item["requests"] for item in items) == 1
    answer = requests.get(
        f"{ana.url}/analytics/timeseries?tz=America/St_Johns",
        headers={"Authorization": f"Bearer {ana.token}", "Accept": "text/csv"},
        timeout=PATIENCE_SECONDS,
    )
    assert answer.headers["Content-Type"].startswith("text/csv")
    lines = answer.text.split("\r\n")
    assert lines[0] == "start,service,requests,failed,inputTokens,outputTokens,usd"
    assert len(lines) == len(items) + 2


def test_a_burst_is_counted_whole_and_the_records_agree(platform: Platform, ana: User) -> None:
    def generate(number: int) -> int:
        return Api(ana.url, ana.token).post("/image/generate", SMALL | {"prompt": f"cat {number}"}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(generate, range(24))) == {201}
    _overview(ana, lambda found: found["requests"] == 24)
    _operate(platform, "recount")
    assert "nothing is wrong" in _operate(platform, "verify-usage")
    _overview(ana, lambda found: found["requests"] == 24)
    (url,) = (url for url in platform.aws("sqs").list_queues()["QueueUrls"] if "UsageDeadLetters" in url)
    counted = "ApproximateNumberOfMessages"
    attributes = platform.aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[counted])["Attributes"]
    assert attributes[counted] == "0"


def test_prometheus_reads_the_counters_with_the_token_of_the_stack(platform: Platform, ana: User) -> None:
    ana.post("/tts/generate", {"prompt": "hello", "voice": "en"})
    _overview(ana, lambda found: found["requests"] == 1)
    secret = platform.aws("secretsmanager").get_secret_value(
        SecretId="llm-microservices/llm-microservices/scrape-token"
    )

    def scrape(token: str, accept: str = "") -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} | ({"Accept": accept} if accept else {})
        return requests.get(f"{ana.url}/metrics", headers=headers, timeout=PATIENCE_SECONDS)

    answer = scrape(secret["SecretString"])
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'llm_requests_total{service="tts"' in answer.text
    assert ana.id not in answer.text
    opened = scrape(secret["SecretString"], "application/openmetrics-text; version=1.0.0")
    assert opened.headers["Content-Type"].startswith("application/openmetrics-text")
    assert opened.text.endswith("# EOF\n")
    assert_problem(scrape("wrong"), 401)
    assert_problem(scrape(ana.token or ""), 401)
    assert_problem(requests.get(f"{ana.url}/metrics", timeout=PATIENCE_SECONDS), 401)


@pytest.fixture
def prometheus(platform: Platform, tmp_path: Path) -> Iterator[str]:
    """A Prometheus with the configuration of this project, which scrapes the platform; its address."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not on this machine: make prometheus installs Debian's")
    folder = platform.root / "observability/prometheus"
    settings = (folder / "prometheus.yml").read_text()
    for shipped, ours in (
        ("localhost:3000", platform.api_url.removeprefix("http://")),
        ("_interval: 30s", "_interval: 1s"),
    ):
        assert shipped in settings
        settings = settings.replace(shipped, ours)
    (tmp_path / "prometheus.yml").write_text(settings)
    shutil.copy(folder / "alerts.yml", tmp_path)
    secret = platform.aws("secretsmanager").get_secret_value(
        SecretId="llm-microservices/llm-microservices/scrape-token"
    )
    (tmp_path / "scrape-token").write_text(secret["SecretString"])
    (port,) = free_ports(1)
    arguments = [f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (tmp_path / "log").open("w") as log:
        running = subprocess.Popen(
            [binary, "--config.file=prometheus.yml", *arguments], cwd=tmp_path, stdout=log, stderr=log
        )
        try:
            yield f"http://127.0.0.1:{port}/api/v1"
        finally:
            running.terminate()
            running.wait(30)


def test_a_real_prometheus_scrapes_and_knows_the_rules(prometheus: str, ana: User) -> None:
    def ask(path: str, **query: str) -> Any:
        try:
            answer = requests.get(f"{prometheus}/{path}", params=query, timeout=PATIENCE_SECONDS)
        except requests.ConnectionError:
            return {}
        # While it starts it says 503, in words.
        return answer.json()["data"] if answer.ok else {}

    def value(expression: str) -> float:
        result = ask("query", query=expression).get("result")
        return float(result[0]["value"][1]) if result else 0.0

    ours = 'llm_requests_total{service="tts",outcome="succeeded"}'
    assert eventually(lambda: value('up{job="llm-microservices"}')) == 1, ask("targets")
    before = value(f"sum({ours})")
    ana.post("/tts/generate", {"prompt": "hello", "voice": "en"})
    assert eventually(lambda: value(f"sum({ours})") == before + 1)
    assert value('sum(llm_generation_seconds_bucket{le="+Inf"})') == value(
        'sum(llm_requests_total{outcome="succeeded"})'
    )
    (group,) = ask("rules")["groups"]
    assert {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}
    assert len(group["rules"]) == 5
    (scraped,) = ask("targets")["activeTargets"]
    assert (scraped["health"], scraped["lastError"]) == ("up", "")


def test_questions_in_sql_are_answered_from_the_records(platform: Platform, ana: User) -> None:
    platform.run("localstack.environments", "query")
    ana.post("/tts/generate", {"prompt": "hello", "voice": "en"})
    sql = f"SELECT service, count(*) AS calls FROM calls WHERE user_id = '{ana.id}' GROUP BY service"  # noqa: S608
    assert "tts" in _operate(platform, "query", SQL=sql)
    with pytest.raises(AssertionError, match="syntax error"):
        _operate(platform, "query", SQL="SELEC 1")
