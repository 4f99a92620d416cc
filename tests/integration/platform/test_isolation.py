"""What a function sees is what it would see on Lambda, and clients reach the API and nothing behind it."""

from __future__ import annotations

import sys

import pytest

from tests.integration.platform.platforms import Platform

pytestmark = pytest.mark.needs("launcher")


def test_function_sees_boto3_and_its_layers_but_not_the_emulators_packages(running: Platform) -> None:
    seen = running.get("/public/anything").json()

    assert seen["greeting"] == "well, there"
    assert seen["modules"] == ["boto3"]


def test_function_inherits_nothing_of_the_developers_shell(running: Platform) -> None:
    names = running.get("/public/anything").json()["environment"]

    assert "DEVELOPERS_SECRET" not in names
    assert "LOG_LEVEL" not in names


def test_client_cannot_choose_its_address(running: Platform) -> None:
    seen = running.get("/public/anything", X_Forwarded_For="203.0.113.7").json()

    assert seen["sourceIp"] == "127.0.0.1"


def test_api_listener_leads_to_no_other_service(running: Platform) -> None:
    bucket = running.get("/", Host=f"llmhist-image-dev.s3.localhost:{running.api_port}")
    health = running.get("/_ministack/health")
    other_stage = running.get("/../../other/dev/healthz")

    assert [answer.json() for answer in (bucket, health, other_stage)] == [{"kind": "no-route"}] * 3


def test_web_page_cannot_reset_the_emulator(running: Platform) -> None:
    for path in ("reset", "config"):
        answer = running.call(f"http://127.0.0.1:{running.aws_port}/_ministack/{path}", "POST")

        assert answer.status == 403
    assert running.get("/healthz").status == 200


def test_unsigned_call_to_aws_is_refused(running: Platform) -> None:
    assert running.call(f"http://127.0.0.1:{running.aws_port}/sam-artifacts-llm-microservices").status == 403


def test_idle_functions_share_one_unpacked_copy(running: Platform) -> None:
    running.get("/public/anything")
    running.get("/protected", Authorization="Bearer good")

    copies = list((running.home / "run" / "packages").iterdir())
    assert len(copies) == 2  # the functions and the layer
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in sys.version
