"""What the functions and the platform have logged of everything that the other tests did; it runs after them."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.integration.client import PASSWORD, SECRETS, Api, Platform, User, assert_problem, eventually
from tests.services import NAMES, SERVICES


def structured(platform: Platform) -> list[dict[str, Any]]:
    return [json.loads(line) for line in platform.logged() if line.startswith("{")]


@pytest.fixture
def used(platform: Platform, ana: User) -> Platform:
    """A platform that has seen one of each secret at least."""
    made = ana.post("/image/generate", {"prompt": "a very private prompt of hers", "size": "64x64"}).json()
    ana.post("/tts/generate", {"prompt": "another private prompt [[status:503]]"})
    for service in SERVICES:
        asked = next(iter(service.sample))
        ana.post(f"/{service.name}/generate", {**service.sample, asked: f"private words for {service.name}"})
    assert "X-Amz-Signature" in ana.get(f"/image/{made['id']}/download").json()["url"]
    ana.get(f"/image/{made['id']}/download?redirect=true")
    refreshed = ana.post("/auth/refresh", {"refreshToken": ana.refresh_token}).json()["refreshToken"]
    ana.post("/auth/login", {"email": ana.email, "password": "not her password"})
    ana.post("/auth/logout", {"refreshToken": refreshed})
    assert eventually(lambda: any(made["id"] in line for line in platform.logged()))
    assert {PASSWORD, ana.token, ana.refresh_token, refreshed, "a very private prompt of hers"} <= SECRETS
    assert {f"private words for {name}" for name in NAMES} <= SECRETS
    return platform


def test_no_log_holds_a_password_a_token_a_key_a_signed_url_or_a_prompt(used: Platform) -> None:
    text = "\n".join(used.logged())
    assert len(text) > 5_000
    assert not {secret for secret in SECRETS if secret in text}
    for marker in ("PRIVATE KEY", "X-Amz-Signature", "postgresql://"):
        assert marker not in text
    for log in (Path(used.environment["LOCAL_DIR"]) / "logs").rglob("*.log"):
        found = log.read_text(errors="replace")
        assert not {secret for secret in SECRETS if secret in found}, log.name


@pytest.mark.needs("request_ids")
def test_each_request_has_one_line_that_says_who_asked_for_what_and_how_it_ended(used: Platform) -> None:
    lines = [line for line in structured(used) if line.get("message") == "request"]
    assert len(lines) > 5
    for line in lines:
        assert {"request_id", "method", "route", "status", "duration_ms", "user_id", "cold_start", "service"} <= set(
            line
        )
    assert set(Counter(line["request_id"] for line in lines).values()) == {1}
    assert {line["user_id"] for line in lines} > {"anonymous"}
    assert {line["cold_start"] for line in lines} == {True, False}


@pytest.mark.needs("request_ids")
def test_the_line_of_a_request_is_found_by_the_id_in_its_answer(platform: Platform, ana: User) -> None:
    problem = assert_problem(ana.get("/image/nothing"), 404)
    found = eventually(
        lambda: [line for line in structured(platform) if line.get("request_id") == problem["requestId"]]
    )
    assert [(line["route"], line["status"], line["user_id"]) for line in found] == [("/image/{id}", 404, ana.id)]


def test_a_security_event_has_a_field_of_its_own(platform: Platform, ana: User) -> None:
    first = ana.post("/auth/refresh", {"refreshToken": ana.refresh_token}).json()["refreshToken"]
    ana.post("/auth/refresh", {"refreshToken": first})
    assert_problem(Api(ana.url).post("/auth/refresh", {"refreshToken": ana.refresh_token}), 401)
    found = eventually(
        lambda: [line for line in structured(platform) if "security_event" in line and line["user_id"] == ana.id]
    )
    assert [line["security_event"] for line in found] == ["refresh_token_reused"]
    assert found[0]["level"] == "WARNING"
