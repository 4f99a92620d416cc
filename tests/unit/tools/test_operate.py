"""The operator's commands know every service by its descriptor, and the stack that they are told."""

import argparse
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from localstack import services, settings, stack
from localstack.console import CommandFailed
from tools.operate import __main__ as command_line
from tools.operate import history, smoke, target

from generation.services import Service

GENERATING = [pytest.param(service, id=service.name) for service in services.generating()]


class Recorded(smoke.Caller):
    """A caller that no platform answers: each call is as documented."""

    def __init__(self) -> None:
        super().__init__("http://localhost:1")
        self.calls: list[tuple[str, str, Any]] = []

    def call(self, expected: int, method: str, path: str, body: dict[str, Any] | None = None) -> smoke.Answer:
        self.calls.append((method, path, body))
        links = {"self": "/made", "download": "/made/download"}
        return smoke.Answer(expected, {"links": links, "accessToken": "t", "user": {"email": "a@example.com"}})


@pytest.mark.parametrize("service", GENERATING)
def test_each_service_is_called_with_its_sample_under_each_of_its_names(service: Service) -> None:
    for name in (service.name, *service.aliases):
        caller = Recorded()
        smoke.parts()[name](caller)

        made = ("POST", f"/{service.name}/generate", dict(service.sample))
        assert caller.calls.count(made) == 2
        assert ("GET", f"/admin/{service.plural}?limit=5", None) in caller.calls


def test_every_list_is_among_the_protected_routes() -> None:
    caller = Recorded()
    smoke.protected(caller)

    for path in ("/users/me", *(f"/admin/{service.plural}" for service in services.generating())):
        assert [called for _, called, _ in caller.calls].count(path) == 3


class Queues:
    """Dead-letter queues with a message each, or as many as are given; what was sent where, and what was removed."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.removed: list[str] = []
        self.calls = 0
        self.refused: set[str] = set()
        self.waiting: dict[str, list[str]] = {}

    def receive_message(self, QueueUrl: str, MaxNumberOfMessages: int, **_options: Any) -> dict[str, Any]:  # noqa: N803
        # What was not removed does not come back before its time.
        waiting = self.waiting.setdefault(QueueUrl, [QueueUrl])
        taken, self.waiting[QueueUrl] = waiting[:MaxNumberOfMessages], waiting[MaxNumberOfMessages:]
        return {"Messages": [{"Body": body, "ReceiptHandle": body} for body in taken]} if taken else {}

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        assert len({entry["Id"] for entry in Entries}) == len(Entries) <= 10
        self.calls += 1
        answer: dict[str, Any] = {"Successful": [], "Failed": []}
        for entry in Entries:
            if entry["MessageBody"] in self.refused:
                answer["Failed"].append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
            else:
                self.sent.append(f"{entry['MessageBody']} -> {QueueUrl}")
                answer["Successful"].append({"Id": entry["Id"]})
        return answer

    def delete_message_batch(self, QueueUrl: str, Entries: list[dict[str, str]]) -> None:  # noqa: N803
        self.removed += [entry["ReceiptHandle"] for entry in Entries]


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> Queues:
    """What the stack's client for SQS is."""
    found = Queues()
    monkeypatch.setattr(target.Target, "client", lambda _self, _service: found)
    return found


def stack_of(*names: Service) -> target.Target:
    outputs = {
        f"{service.pascal}{queue}": f"{service.name}-{kind}"
        for service in names
        for queue, kind in (("RecordQueueUrl", "queue"), ("DeadLetterQueueUrl", "dead"))
    } | {"UsageQueueUrl": "usage-queue", "UsageDeadLetterQueueUrl": "usage-dead"}
    return target.Target(None, outputs, {})


def test_dead_letters_go_back_for_all_services_or_for_one(queues: Queues) -> None:
    every = services.generating()

    history.redrive(stack_of(*every), "")
    names = [*(service.name for service in every), "usage"]
    assert queues.sent == [f"{name}-dead -> {name}-queue" for name in names]
    queues.waiting.clear()
    for name in (every[-1].name, "usage"):
        queues.sent.clear()
        history.redrive(stack_of(*every), name)
        assert queues.sent == [f"{name}-dead -> {name}-queue"]


def test_dead_letters_go_back_ten_at_a_time_and_those_that_are_refused_stay(queues: Queues) -> None:
    bodies = [f"message-{number}" for number in range(25)]
    queues.waiting["usage-dead"] = list(bodies)
    history.redrive(stack_of(), "usage")
    assert queues.sent == [f"{body} -> usage-queue" for body in bodies]
    assert queues.calls == 3
    assert queues.removed == bodies

    queues.waiting["usage-dead"], queues.refused = bodies[:4], {bodies[2]}
    queues.sent.clear()
    queues.removed.clear()
    with pytest.raises(CommandFailed, match="1 were refused: InternalError"):
        history.redrive(stack_of(), "usage")
    assert queues.sent == [f"{body} -> usage-queue" for body in (*bodies[:2], bodies[3])]
    assert queues.removed == [*bodies[:2], bodies[3]]


@pytest.mark.parametrize("command", ["verify-index", "reindex", "redrive"])
def test_the_history_is_that_of_a_service_that_there_is(command: str) -> None:
    for service in services.generating():
        assert command_line.parser().parse_args([command, "--service", service.name]).service == service.name
    with pytest.raises(SystemExit):
        command_line.parser().parse_args([command, "--service", "nothing"])


class Formation:
    """CloudFormation with one stack."""

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        return {
            "Stacks": [
                {
                    "Outputs": [{"OutputKey": "ApiUrl", "OutputValue": f"https://{StackName}.example"}],
                    "Parameters": [{"ParameterKey": "DatabaseSecretArn", "ParameterValue": "arn"}],
                }
            ]
        }


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where clients were made: for AWS, and for the platform on this machine."""
    made: list[str] = []

    def client(where: str) -> Callable[..., Formation]:
        return lambda *_arguments, **_named: made.append(where) or Formation()

    monkeypatch.setattr(boto3, "client", client("aws"))
    monkeypatch.setattr(stack, "client", client("here"))
    return made


def test_the_stack_on_aws_needs_no_platform_here(clients: list[str]) -> None:
    found = target.find("aws", "mine")

    assert clients == ["aws"]
    assert found.api_url == "https://mine.example"
    assert found.parameters == {"DatabaseSecretArn": "arn"}


def test_the_stack_here_is_found_at_the_platforms_own_address(
    clients: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = settings.load(
        {"API_PORT": "3999", "AWS_PORT": "4999", "SAM_TEMPLATE": str(settings.ROOT / "template.yaml")}
    )
    monkeypatch.setattr(target, "running_settings", lambda _settings: running)

    found = target.find("local", "mine")

    assert clients == ["here"]
    assert found.api_url == "http://localhost:3999"


def test_no_platform_here_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_settings: settings.Settings) -> settings.Settings:
        raise CommandFailed("this command", "the platform is not running", "start it with `make up`")

    monkeypatch.setattr(target, "running_settings", none)
    with pytest.raises(CommandFailed, match="not running"):
        target.find("local", "mine")


def test_the_command_line_says_which_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def find(name: str, stack_name: str) -> target.Target:
        asked.append((name, stack_name))
        return target.Target(None, {"ApiUrl": "https://example"}, {})

    monkeypatch.setattr(target, "find", find)
    monkeypatch.setattr(smoke, "run", lambda _url, _part: None)
    for said in ([], ["--target", "aws", "--stack", "mine"]):
        options: argparse.Namespace = command_line.parser().parse_args([*said, "smoke", "auth"])
        command_line.run(options)

    assert asked == [("local", settings.STACK_NAME), ("aws", "mine")]
