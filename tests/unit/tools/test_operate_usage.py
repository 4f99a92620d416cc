"""The operator's commands for usage: what they ask the stack, what they print, and what they never print."""

import io
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from localstack.console import CommandFailed
from tests.services import SERVICES
from tests.unit.generation.memory_dynamodb import MemoryDynamoDB
from tests.unit.generation.samples import identifier
from tools.calls_view import DAY, FAILURE_COLUMNS
from tools.operate import __main__ as command_line
from tools.operate import history, questions, target, usage

from generation.providers import Deadline
from generation.usage.entries import Counters, Entry, of_failure
from generation.usage.table import UsageTable

TOKEN = "the-scrape-token"
DAYS = ("2026-11-20", "2026-11-22")
CLEAN: dict[str, Any] = {"records": 2, "next": None, **{kind: [] for kind in usage.KINDS}}


class Functions:
    """Lambda with answers that are given one after another; keeps what was asked."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Any]] = []

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        order = json.loads(Payload)
        self.asked.append((FunctionName, order))
        answer = self.answers.pop(0)
        failed = {"FunctionError": "Unhandled"} if "errorMessage" in answer else {}
        return {"Payload": io.BytesIO(json.dumps({"from": "f", "to": "t", **answer}).encode()), **failed}


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Callable[..., target.Target]:
    """A stack whose clients are given by the names of their services."""

    def made(**clients: Any) -> target.Target:
        monkeypatch.setattr(target.Target, "client", lambda _self, name: clients[name])
        outputs = {
            "RecountFunctionName": "recount",
            "ForgetFunctionName": "forget",
            "ScrapeTokenArn": "arn",
            "UsageTableName": "usage",
        }
        outputs |= {f"{service.pascal}BucketName": service.name for service in SERVICES}
        return target.Target(None, outputs | {"ApiUrl": "https://api"}, {})

    return made


def test_days_are_compared_until_all_are(stack: Any, capsys: pytest.CaptureFixture[str]) -> None:
    functions = Functions({**CLEAN, "next": "2026-11-21"}, CLEAN)
    usage.recount(stack(**{"lambda": functions}), *DAYS, repair=False)
    assert functions.asked == [
        ("recount", {"from": first, "to": DAYS[1], "repair": False}) for first in (DAYS[0], "2026-11-21")
    ]
    assert "nothing is wrong" in capsys.readouterr().out


def test_what_is_wrong_is_told_and_fails_unless_it_was_put_right(
    stack: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {**CLEAN, "missing": [f"id-{number}" for number in range(25)], "rows": ["everybody 2026-11-20"]}
    with pytest.raises(CommandFailed, match="26 numbers"):
        usage.recount(stack(**{"lambda": Functions(wrong)}), *DAYS, repair=False)
    told = capsys.readouterr().out
    assert "25 records that were not counted" in told
    assert "id-19" in told
    assert "id-20" not in told
    assert "and 5 more" in told
    usage.recount(stack(**{"lambda": Functions(wrong)}), *DAYS, repair=True)
    assert "26 put right" in capsys.readouterr().out
    for left in ("busy", "unreadable"):
        with pytest.raises(CommandFailed, match="1 could not be put right"):
            usage.recount(stack(**{"lambda": Functions({**wrong, left: ["x"]})}), *DAYS, repair=True)


def test_days_in_the_wrong_order_and_functions_that_fail_are_said(stack: Any) -> None:
    with pytest.raises(CommandFailed, match="is after"):
        usage.recount(stack(), DAYS[1], DAYS[0], repair=True)
    with pytest.raises(CommandFailed, match="no table"):
        usage.recount(stack(**{"lambda": Functions({"errorMessage": "no table"})}), *DAYS, repair=True)


FOUND = {"userId": "u", "email": "a@b.c", "sessions": 1, "calls": 2, "objects": 3, "items": 4, "days": 5}


@pytest.mark.parametrize(("said", "removes"), [("yes", True), ("no", False), ("", False)])
def test_nothing_is_removed_before_somebody_says_yes(
    stack: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str, removes: bool
) -> None:
    functions = Functions(FOUND, {"removed": False}, {"removed": True})
    monkeypatch.setattr("builtins.input", lambda _question: said)
    usage.forget(stack(**{"lambda": functions}), "a@b.c", sure=False)
    asked = [("forget", {"user": "a@b.c"})] + [("forget", {"user": "u", "remove": True})] * (2 if removes else 0)
    assert functions.asked == asked
    told = capsys.readouterr().out
    assert "2 generations" in told
    assert ("u is forgotten" in told) is removes


def test_whoever_is_sure_is_not_asked_and_nobody_is_said(stack: Any) -> None:
    functions = Functions(FOUND, {"removed": True})
    usage.forget(stack(**{"lambda": functions}), "u", sure=True)
    assert len(functions.asked) == 2
    with pytest.raises(CommandFailed, match="there is no account"):
        usage.forget(stack(**{"lambda": Functions({"userId": None})}), "x", sure=True)


class Secrets:
    """Secrets Manager with one secret."""

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803
        assert SecretId == "arn"
        return {"SecretString": TOKEN}


def test_the_scrape_token_is_written_for_its_owner_and_never_printed(
    stack: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scrape-token"
    file.write_text("an older and a longer one than that")
    file.chmod(0o644)
    usage.scrape_token(stack(secretsmanager=Secrets()), file)
    assert file.read_text() == TOKEN
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert TOKEN not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "command", [["recount"], ["verify-usage"], ["query"], ["scrape-token"], ["forget", "--user", "u"]]
)
def test_the_command_line_knows_the_commands_and_days_are_days(command: list[str]) -> None:
    assert command_line.parser().parse_args(command).command == command[0]
    with pytest.raises(SystemExit):
        command_line.parser().parse_args([*command, "--from", "yesterday"])


def test_redrive_may_be_of_usage_alone() -> None:
    assert command_line.parser().parse_args(["redrive", "--service", "usage"]).service == history.USAGE
    with pytest.raises(SystemExit):
        command_line.parser().parse_args(["verify-index", "--service", "usage"])


class Objects:
    """S3 with a bucket for each service, and a record of each day that is asked for."""

    def get_paginator(self, _name: str) -> "Objects":
        return self

    def paginate(self, Bucket: str, Prefix: str) -> list[Any]:  # noqa: N803
        names = ("input.json", "record.json", "text/original.png")
        return [{"Contents": [{"Key": f"{Prefix}{Bucket}/{name}"} for name in names]}, {}]

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        assert Key.endswith("/record.json")
        return {"Body": io.BytesIO(json.dumps({"service": Bucket}).encode())}


def test_questions_are_asked_of_the_records_of_all_services_of_these_days(stack: Any, tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    number = questions.write(stack(s3=Objects()), file, *DAYS)
    found = [json.loads(line) for line in file.read_text().splitlines()]
    assert number == len(found) == 3 * len(SERVICES)
    assert {(one["service"], one[DAY]) for one in found} == {
        (service.name, day) for service in SERVICES for day in ("2026/11/20", "2026/11/21", "2026/11/22")
    }


def test_failed_calls_of_these_days_are_asked_for_beside_the_records(stack: Any, tmp_path: Path) -> None:
    memory = MemoryDynamoDB()
    moment = int(datetime(2026, 11, 20, 23, 59, tzinfo=UTC).timestamp() * 1000)
    day = 86_400_000
    failed, later, much_later, served = (
        identifier(at, 1) for at in (moment, moment + day, moment + 3 * day, moment + 1)
    )
    message = {"userId": "anonymous", "service": "image", "provider": "painter", "model": "brush"}
    entries = [of_failure({"id": one, **message}) for one in (failed, later, much_later)]
    entries.append(Entry(served, "anonymous", entries[0].source, Counters(1, last=moment + 1), 100))
    UsageTable(cast(Any, memory), "usage").count(entries, Deadline(60))
    file = tmp_path / "failures.jsonl"
    assert questions.write_failures(stack(dynamodb=memory), file, *DAYS) == 2
    found = [json.loads(line) for line in file.read_text().splitlines()]
    assert found == [
        {"id": failed, **message, "createdAt": "2026-11-20T23:59:00.000Z", DAY: "2026/11/20"},
        {"id": later, **message, "createdAt": "2026-11-21T23:59:00.000Z", DAY: "2026/11/21"},
    ]
    assert {place for _, place, _ in FAILURE_COLUMNS} == found[0].keys()
