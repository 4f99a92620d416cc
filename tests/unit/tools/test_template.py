"""The rendered template: what is committed, and what another service makes of it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped]
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from tests.services import SERVICES
from tools.sources import FUNCTIONS, ROOT
from tools.template import __main__ as command
from tools.template import render

# Of CloudFormation's 500 resources; each service has some 25.
MOST_RESOURCES = 450
PLANNED_SERVICES = 2
DUMMY = """
from generation.services import Limits, Service

SERVICE = Service(
    name="echoes", plural="echoings", operation="Echo", operations="Echoes", schema="Echo", tag="Echoes",
    about="Say it again.", order=40, artifact="text", filename="echo", extensions=("txt",),
    providers={"offline": "offline.image:OfflineImage", "pollinations": "generation.pollinations:Pollinations"},
    chain=("offline",), limits=Limits(user=3, address=1), sample={"prompt": "hello"}, memory=2048,
)
"""


@pytest.fixture(scope="module")
def with_another(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The template of the services that there are, and one more."""
    folder = tmp_path_factory.mktemp("functions")
    for service in SERVICES:
        (folder / service.name).mkdir()
        for part in (FUNCTIONS / service.name).glob("*.j2"):
            shutil.copy(part, folder / service.name)
        shutil.copy(FUNCTIONS / service.name / "service.py", folder / service.name)
    (folder / "echoes").mkdir()
    (folder / "echoes" / "service.py").write_text(DUMMY)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        return render.template(folder)


def transformed(text: str) -> dict[str, Any]:
    """The resources that SAM makes of a template."""
    whole = yaml_parse(text)
    # What `sam deploy` has put in S3 by then.
    whole["Globals"]["Function"]["CodeUri"] = "s3://bucket/functions.zip"
    for resource in whole["Resources"].values():
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = "s3://bucket/layer.zip"
    values = {
        name: parameter.get("Default", "arn:aws:secretsmanager:a:1:secret:b")
        for name, parameter in whole["Parameters"].items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        made: dict[str, Any] = Translator({}, Parser()).translate(whole, values)
    return dict(made["Resources"])


def test_what_is_committed_is_what_the_sources_say() -> None:
    assert command.COMMITTED.read_text() == render.template()
    assert command.main(["check"]) == 0


def test_a_template_that_was_edited_by_hand_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    edited = tmp_path / "template.yaml"
    edited.write_text(render.template() + "# by hand\n")
    monkeypatch.setattr(command, "COMMITTED", edited)
    assert command.main(["check"]) == 1
    assert "make template" in capsys.readouterr().err
    assert command.main(["write"]) == 0
    assert edited.read_text() == render.template()


def test_another_service_is_another_block_and_changes_no_other_resource(with_another: str) -> None:
    before, after = yaml_parse(render.template()), yaml_parse(with_another)
    new = set(after["Resources"]) - set(before["Resources"])
    assert new
    assert all(name.startswith("Echoes") for name in new)
    # The gateway refuses methods of its paths; two functions look after every bucket, and one shows what is in it.
    shared = {"Api", "HealthFunction", "ReindexFunction", "ConsoleFunction"}
    for name in set(before["Resources"]) - shared:
        assert after["Resources"][name] == before["Resources"][name], name
    assert set(after["Parameters"]) - set(before["Parameters"]) == {
        "EchoesProviders", "EchoesRateLimit", "EchoesAnonymousRateLimit",
    }  # fmt: skip
    assert after["Parameters"]["EchoesRateLimit"]["Default"] == 3
    generate = after["Resources"]["EchoesGenerateFunction"]["Properties"]
    assert generate["MemorySize"] == 2048
    assert {"Ref": "OfflineLayer"} in generate["Layers"]
    # The settings of its providers are its own, too.
    assert generate["Environment"]["Variables"]["POLLINATIONS_URL"] == {"Ref": "PollinationsUrl"}
    for name in ("HealthFunction", "ReindexFunction", "ConsoleFunction"):
        variables = after["Resources"][name]["Properties"]["Environment"]["Variables"]
        assert variables["ECHOES_BUCKET"] == {"Ref": "EchoesBucket"}
    paths = after["Resources"]["Api"]["Properties"]["DefinitionBody"]["paths"]
    assert {path for path in paths if "echo" in path} == {
        "/echoes/generate", "/echoes/{id}", "/echoes/{id}/download", "/admin/echoings",
    }  # fmt: skip


def test_the_linter_takes_a_template_with_another_service(with_another: str) -> None:
    found = lint(with_another, config=ManualArgs(append_rules=[str(ROOT / "tools/cfn_rules")]))
    assert [str(one) for one in found] == []


def test_the_stack_stays_below_what_cloudformation_takes(with_another: str) -> None:
    now, more = len(transformed(render.template())), len(transformed(with_another))
    a_service = more - now
    assert 15 < a_service < 60
    assert now + PLANNED_SERVICES * a_service < MOST_RESOURCES
