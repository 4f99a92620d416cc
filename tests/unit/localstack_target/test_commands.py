"""`make up-localstack`: its settings, what of the shell reaches LocalStack, and when it is not ready."""

import json
from pathlib import Path
from typing import Any

import pytest
import serve
from localstack.console import CommandFailed
from localstack.targets.localstack import commands

from tests.unit.functions.template import template

KEYS = json.dumps({"keys": [{"kid": "one"}]}).encode()


def answering(monkeypatch: pytest.MonkeyPatch, **answers: tuple[int, bytes]) -> None:
    def status(url: str) -> tuple[int, bytes]:
        return answers["keys" if url.endswith("jwks.json") else "health"]

    monkeypatch.setattr(commands, "_status", status)


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"health": (200, b"{}"), "keys": (200, KEYS)}, None),
        ({"health": (200, b"{}"), "keys": (200, b'{"keys": []}')}, "the set of signing keys is empty"),
        ({"health": (503, b"postgresql down"), "keys": (200, KEYS)}, "answered 503 postgresql down"),
        ({"health": (0, b"connection refused"), "keys": (200, KEYS)}, "answered 0 connection refused"),
        ({"health": (200, b"{}"), "keys": (502, b"")}, "jwks.json answered 502"),
    ],
)
def test_a_platform_is_ready_when_it_is_healthy_and_has_signing_keys(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, tuple[int, bytes]], why: str | None
) -> None:
    answering(monkeypatch, **answers)
    found = commands.problem(commands.load({}))
    assert (found is None) if why is None else why in (found or "")


def test_it_has_a_folder_and_ports_of_its_own(tmp_path: Path) -> None:
    default = commands.load({})
    assert (default.api_port, default.aws_port, default.legacy_ports) == (13000, 14566, ())
    chosen = commands.load(
        {"LOCALSTACK_API_PORT": "1300", "LOCALSTACK_PORT": "1456", "LOCAL_DIR": str(tmp_path), "API_PORT": "3000"}
    )
    assert (chosen.api_port, chosen.aws_port, chosen.home) == (1300, 1456, tmp_path / "localstack")


def test_localstack_serves_what_the_template_has() -> None:
    # Tables for Athena are made where somebody asks for them, on AWS.
    made = [one for one in template()["Resources"].values() if one.get("Condition") != "WithAthenaTables"]
    types = [resource["Type"].split("::") for resource in made]
    # LocalStack loads no service that is not in its list; SAM's types become Lambda's and API Gateway's.
    needed = {name.lower() for vendor, name, *_ in types if vendor == "AWS"} - {"serverless"} | {"lambda", "apigateway"}
    assert {"sns", "sqs", "s3"} < needed
    assert needed <= set(commands.SERVICES)


def test_nothing_of_the_developers_account_reaches_localstack() -> None:
    shell = {"PATH": "/bin", "AWS_PROFILE": "mine", "AWS_SECRET_ACCESS_KEY": "mine", "LOCALSTACK_AUTH_TOKEN": "mine"}
    variables = commands.environment(commands.load({}), shell)
    assert variables["PATH"] == "/bin"
    assert "mine" not in variables.values()
    assert variables["GATEWAY_LISTEN"] == "127.0.0.1:14566"


def test_a_missing_python_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "HERE", commands.HERE.__class__(Path("python"), "3.11", ""))
    monkeypatch.setattr(commands.runtimes, "interpreter", lambda *_: None)
    with pytest.raises(CommandFailed, match=r"needs Python 3\.13") as failed:
        commands.server()
    assert "uv python install 3.13" in failed.value.remedy


class Gateway:
    """API Gateway's stages, as far as they matter here."""

    def __init__(self, stages: dict[str, str]) -> None:
        self.stages = stages

    def get_deployments(self, **_: Any) -> dict[str, Any]:
        return {"items": [{"id": "new", "createdDate": 2}, {"id": "old", "createdDate": 1}]}

    def get_stages(self, **_: Any) -> dict[str, Any]:
        return {"item": [{"stageName": name, "deploymentId": value} for name, value in self.stages.items()]}

    def create_stage(self, *, stageName: str, deploymentId: str, **_: Any) -> None:  # noqa: N803
        assert stageName not in self.stages
        self.stages[stageName] = deploymentId

    def update_stage(self, *, stageName: str, patchOperations: list[dict[str, str]], **_: Any) -> None:  # noqa: N803
        self.stages[stageName] = patchOperations[0]["value"]


@pytest.mark.parametrize("before", [{}, {"dev": "old"}, {"dev": "new"}])
def test_after_a_deployment_the_stage_is_there_and_leads_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: dict[str, str]
) -> None:
    gateway = Gateway(dict(before))
    monkeypatch.setattr(commands.stack, "client", lambda *_: gateway)
    endpoint = tmp_path / "endpoint.json"
    endpoint.write_text(json.dumps({"apiId": "abc", "stage": "dev"}))
    commands._keep_stage(commands.load({}), endpoint)
    assert gateway.stages == {"dev": "new"}


def test_the_api_is_where_the_last_deployment_put_it(tmp_path: Path) -> None:
    endpoint = serve.Endpoint(tmp_path / "endpoint.json")
    assert endpoint.prefix() == b""
    (tmp_path / "endpoint.json").write_text(json.dumps({"apiId": "abc", "stage": "dev"}))
    assert endpoint.prefix() == b"/_aws/execute-api/abc/dev"
    fresh = tmp_path / "fresh"
    fresh.write_text(json.dumps({"apiId": "xyz", "stage": "dev"}))
    fresh.replace(tmp_path / "endpoint.json")
    assert endpoint.prefix() == b"/_aws/execute-api/xyz/dev"
