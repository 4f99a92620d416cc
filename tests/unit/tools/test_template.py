"""The rendered template: what is committed, and what another service makes of it."""

import json
import re
import shutil
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped]
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from tests.services import SERVICES
from tests.unit.stand_ins import facts_of
from tools import calls_view
from tools.sources import FUNCTIONS, ROOT
from tools.template import __main__ as command
from tools.template import render

from core import ids
from generation import records
from generation.chain import Outcome
from generation.providers import Artifact
from generation.services import Service

# Of CloudFormation's 500 resources; each service has some 40, and there is room for another one.
MOST_RESOURCES = 450
DUMMY = """
from generation.services import Limits, Service

SERVICE = Service(
    name="echoes", plural="echoings", operation="Echo", operations="Echoes", schema="Echo", tag="Echoes",
    about="Say it again.", order=40, artifact="text", filename="echo", extensions=("txt",),
    providers={"offline": "offline.image:OfflineImage", "pollinations": "generation.pollinations:Pollinations"},
    chain=("offline",), limits=Limits(user=3, address=1), sample={"prompt": "hello"}, memory=2048,
)
"""


@lru_cache
def rendered() -> str:
    """What the sources say."""
    return render.template()


@lru_cache
def parsed(text: str) -> dict[str, Any]:
    """A template to look at, not to change."""
    whole: dict[str, Any] = yaml_parse(text)
    return whole


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


@lru_cache
def transformed(text: str) -> dict[str, Any]:
    """The resources that SAM makes of a template."""
    whole = deepcopy(parsed(text))
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
    assert command.COMMITTED.read_text() == rendered()
    assert command.main(["check"]) == 0


def test_a_template_that_was_edited_by_hand_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    edited = tmp_path / "template.yaml"
    edited.write_text(rendered() + "# by hand\n")
    monkeypatch.setattr(command, "COMMITTED", edited)
    assert command.main(["check"]) == 1
    assert "make template" in capsys.readouterr().err
    assert command.main(["write"]) == 0
    assert edited.read_text() == rendered()


def test_another_service_is_another_block_and_changes_no_other_resource(with_another: str) -> None:
    before, after = parsed(rendered()), parsed(with_another)
    new = set(after["Resources"]) - set(before["Resources"])
    assert new
    assert all(name.startswith("Echoes") for name in new)
    # The gateway refuses methods of its paths; some functions look after every bucket; all are counted and watched.
    shared = {
        "Api", "HealthFunction", "ReindexFunction", "ForgetFunction", "ConsoleFunction",
        "UsageQueuePolicy", "UsageCountFunction", "RecountFunction",
        "Dashboard", "FailedRequestsQuery", "ProviderFailuresQuery", "SlowGenerationsQuery", "CallsView",
    }  # fmt: skip
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
    for name in ("HealthFunction", "ReindexFunction"):
        variables = after["Resources"][name]["Properties"]["Environment"]["Variables"]
        assert variables["ECHOES_BUCKET"] == {"Ref": "EchoesBucket"}
    paths = after["Resources"]["Api"]["Properties"]["DefinitionBody"]["paths"]
    assert {path for path in paths if "echo" in path} == {
        "/echoes/generate", "/echoes/{id}", "/echoes/{id}/download", "/admin/echoings",
    }  # fmt: skip


def test_every_queue_has_an_alarm_and_each_alarm_a_section_that_says_what_to_do() -> None:
    resources = parsed(rendered())["Resources"]
    queues = {name for name, one in resources.items() if one["Type"] == "AWS::SQS::Queue"}
    alarms = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    watched: dict[str, set[str]] = {}
    for alarm in alarms:
        if alarm["Namespace"] == "AWS/SQS":
            (dimension,) = alarm["Dimensions"]
            watched.setdefault(dimension["Value"]["Fn::GetAtt"][0], set()).add(alarm["MetricName"])
    assert watched == {
        name: {f"Approximate{'NumberOfMessagesVisible' if name.endswith('DeadLetters') else 'AgeOfOldestMessage'}"}
        for name in queues
    }
    headings = re.findall("^#+ (.+)$", (ROOT / "docs/usage.md").read_text(), re.MULTILINE)
    told = [alarm["AlarmDescription"].rpartition(", ")[2].rstrip(".") for alarm in alarms]
    assert set(told) <= set(headings)


@pytest.mark.parametrize("mode", ["Disabled", "Active"])
def test_traces_are_written_and_allowed_where_the_stack_says_so(mode: str) -> None:
    text = rendered().replace("Default: Disabled", f"Default: {mode}")
    made = transformed(text)
    functions = [one["Properties"] for one in made.values() if one["Type"] == "AWS::Lambda::Function"]
    assert {"TracingConfig" in one for one in functions} == {mode == "Active"}
    assert ("XRay" in json.dumps(made) or "Xray" in json.dumps(made)) is (mode == "Active")
    boundary = json.dumps(made["FunctionBoundary"]["Properties"]["PolicyDocument"])
    assert '"Fn::If": ["WithTracing"' in boundary


def test_athena_and_duckdb_have_a_view_with_the_same_columns() -> None:
    view = parsed(rendered())["Resources"]["CallsView"]["Properties"]["TableInput"]
    (_, parts) = view["ViewOriginalText"]["Fn::Join"]
    stored = json.loads(parts[1]["Fn::Base64"]["Fn::Sub"])
    names = [name for name, _, _ in calls_view.COLUMNS]
    assert [column["name"] for column in stored["columns"]] == names
    assert [column["Name"] for column in view["StorageDescriptor"]["Columns"]] == names
    for query in (stored["originalSql"], calls_view.duckdb_view("file")):
        assert re.findall(r" AS (\w+)(?=,| FROM)", query)[: len(names)] == names
    assert all(f"FROM {service.name}_records" in stored["originalSql"] for service in SERVICES)
    # What of a failed call is known is called as it is of the others.
    failures = re.findall(r" AS (\w+)(?=,| FROM)", calls_view.duckdb_failures("file"))
    assert failures == [name for name in names if name in failures] == ["id", "day", *names[2:7]]


@pytest.mark.parametrize("service", SERVICES, ids=[service.name for service in SERVICES])
def test_what_the_view_shows_is_in_the_records(service: Service) -> None:
    record: Any = records.build(
        service,
        ids.new(),
        caller=None,
        prompt="hi",
        params={},
        outcome=Outcome(Artifact(b"x", service.content_types[0], "p", "m", facts_of(service), 0.1), "first", "timeout"),
        latency_ms=1,
        input_bytes=1,
    )
    params = record["meta"]["params"]
    known = set(calls_view.RECORD["meta"]["params"])  # type: ignore[index]
    assert {"inputTokens", "outputTokens", "durationSeconds", "fallbackFrom", "fallbackReason"} & set(params) <= known
    for _, place, _ in calls_view.COLUMNS:
        if place != calls_view.DAY and not place.startswith("meta."):
            found: Any = record
            for part in place.split("."):
                found = found[part]


def test_the_stack_stays_below_what_cloudformation_takes(with_another: str) -> None:
    now, more = len(transformed(rendered())), len(transformed(with_another))
    a_service = more - now
    assert 15 < a_service < 60
    assert more < MOST_RESOURCES
