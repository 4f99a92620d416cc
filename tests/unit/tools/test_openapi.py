"""What counts as breaking a client, and what the commands do about it."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from tools.openapi import __main__ as command
from tools.openapi import document
from tools.openapi.breaking import breaking_changes

Change = Callable[[Any], object]

BEFORE: dict[str, Any] = {
    "paths": {
        "/things": {
            "post": {
                "operationId": "makeThing",
                "security": [{}, {"accessToken": []}],
                "description": "201.",
                "parameters": [
                    {"name": "limit", "in": "query", "required": False, "schema": {"type": "integer", "maximum": 9}}
                ],
                "requestBody": {
                    "required": False,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Wish"}}},
                },
                "responses": {
                    "201": {
                        "headers": {
                            "Location": {"required": True, "schema": {"type": "string"}},
                            "RateLimit": {"required": False, "schema": {"type": "string"}},
                        },
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
                    },
                    "409": {},
                },
            },
            "get": {"operationId": "getThings", "security": [], "responses": {"200": {}}},
        }
    },
    "components": {
        "schemas": {
            "Wish": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a"},
                    "kind": {"type": "string", "enum": ["a", "b"]},
                    "size": {"anyOf": [{"type": "number", "minimum": 1}, {"type": "null"}]},
                    "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
                },
            },
            "Thing": {
                "type": "object",
                "required": ["id", "state"],
                "properties": {
                    "id": {"type": "string", "format": "uuid"},
                    "state": {"type": "string", "enum": ["new", "old"]},
                    "count": {"type": "integer", "minimum": 0},
                    "links": {"type": "object", "additionalProperties": {"type": "string"}},
                    "owner": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                },
            },
        }
    },
}


def post(whole: Any) -> Any:
    return whole["paths"]["/things"]["post"]


def wish(whole: Any) -> Any:
    return whole["components"]["schemas"]["Wish"]


def thing(whole: Any) -> Any:
    return whole["components"]["schemas"]["Thing"]


def made(whole: Any) -> Any:
    return post(whole)["responses"]["201"]


def parameter(whole: Any) -> Any:
    return post(whole)["parameters"][0]


def changed(change: Change) -> list[str]:
    after = deepcopy(BEFORE)
    change(after)
    assert after != BEFORE
    return breaking_changes(BEFORE, after)


TEXT = {"type": "string"}

BREAKS: dict[str, tuple[Change, str]] = {
    "path gone": (lambda it: it["paths"].pop("/things"), "GET /things: is gone"),
    "method gone": (lambda it: it["paths"]["/things"].pop("get"), "GET /things: is gone"),
    "call renamed": (lambda it: post(it).update(operationId="x"), "operationId is x now"),
    "token needed": (lambda it: post(it).update(security=[{"accessToken": []}]), "no token does not suffice"),
    "another token needed": (
        lambda it: it["paths"]["/things"]["get"].update(security=[{"key": []}]),
        "GET /things: no token does not suffice",
    ),
    "parameter gone": (lambda it: post(it).pop("parameters"), "query parameter limit is gone"),
    "parameter required": (lambda it: parameter(it).update(required=True), "query parameter limit is required now"),
    "new required parameter": (
        lambda it: post(it)["parameters"].append({"name": "q", "in": "query", "required": True, "schema": TEXT}),
        "query parameter q is required now",
    ),
    "parameter narrower": (lambda it: parameter(it)["schema"].update(maximum=8), "limit accepts less than before"),
    "body required": (lambda it: post(it)["requestBody"].update(required=True), "a body is required now"),
    "body of another kind": (
        lambda it: post(it)["requestBody"].update(content={"text/plain": {"schema": TEXT}}),
        "no body of application/json",
    ),
    "field required": (lambda it: wish(it)["required"].append("kind"), "body.kind accepts less"),
    "new required field": (
        lambda it: (wish(it)["required"].append("new"), wish(it)["properties"].update(new=TEXT)),
        "body.new accepts less",
    ),
    "field of the body gone": (lambda it: wish(it)["properties"].pop("kind"), "body.kind is gone"),
    "unknown fields refused": (lambda it: wish(it).update(additionalProperties=False), "body accepts less"),
    "type narrower": (lambda it: wish(it)["properties"]["name"].update(type="integer"), "body.name accepts less"),
    "number to integer": (
        lambda it: wish(it)["properties"]["size"]["anyOf"][0].update(type="integer"),
        "body.size accepts less",
    ),
    "null refused": (lambda it: wish(it)["properties"]["size"]["anyOf"].pop(), "body.size accepts less"),
    "enum narrower": (lambda it: wish(it)["properties"]["kind"]["enum"].pop(), "body.kind accepts less"),
    "new enum": (lambda it: wish(it)["properties"]["name"].update(enum=["a"]), "body.name accepts less"),
    "shorter at most": (lambda it: wish(it)["properties"]["name"].update(maxLength=8), "(maxLength)"),
    "longer at least": (lambda it: wish(it)["properties"]["name"].update(minLength=2), "(minLength)"),
    "new limit": (lambda it: wish(it)["properties"]["tags"].update(minItems=1), "(minItems)"),
    "another pattern": (lambda it: wish(it)["properties"]["name"].update(pattern="^b"), "(pattern)"),
    "new format": (lambda it: wish(it)["properties"]["name"].update(format="uuid"), "(format)"),
    "narrower items": (lambda it: wish(it)["properties"]["tags"]["items"].update(maxLength=2), "body.tags[] accepts"),
    "status gone": (lambda it: post(it)["responses"].pop("409"), "409 is not answered any more"),
    "another success": (lambda it: post(it)["responses"].update({"202": {}}), "202 is a success, too, now"),
    "header gone": (lambda it: made(it)["headers"].pop("Location"), "has not always the header Location"),
    "header optional": (
        lambda it: made(it)["headers"]["Location"].update(required=False),
        "has not always the header Location",
    ),
    "answer of another kind": (
        lambda it: made(it).update(content={"text/plain": {"schema": TEXT}}),
        "201 is not application/json any more",
    ),
    "field of the answer gone": (lambda it: thing(it)["properties"].pop("count"), "201.count is gone"),
    "field of the answer optional": (lambda it: thing(it)["required"].remove("id"), "201.id may be what it was not"),
    "new value of the answer": (
        lambda it: thing(it)["properties"]["state"]["enum"].append("lost"),
        "201.state may be what it was not before (enum)",
    ),
    "answer of another type": (
        lambda it: thing(it)["properties"]["count"].update(type="number"),
        "201.count may be what it was not before (type)",
    ),
    "answer with null": (
        lambda it: thing(it)["properties"].update(id={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        "201.id may be what it was not before",
    ),
    "answer without its format": (lambda it: thing(it)["properties"]["id"].pop("format"), "(format)"),
    "answer with less than before": (lambda it: thing(it)["properties"]["count"].update(minimum=-1), "(minimum)"),
    "answer with other members": (
        lambda it: thing(it)["properties"]["links"].update(additionalProperties={"type": "integer"}),
        "201.links[] may be what it was not",
    ),
}

HARMLESS: dict[str, Change] = {
    "new path": lambda it: it["paths"].update({"/more": deepcopy(it["paths"]["/things"])}),
    "new method": lambda it: it["paths"]["/things"].update(delete=post(it)),
    "token enough": lambda it: it["paths"]["/things"]["get"].update(security=[{}]),
    "new optional parameter": lambda it: post(it)["parameters"].append(
        {"name": "q", "in": "query", "required": False, "schema": TEXT}
    ),
    "parameter wider": lambda it: parameter(it)["schema"].pop("maximum"),
    "new optional field": lambda it: wish(it)["properties"].update(new=TEXT),
    "field optional": lambda it: wish(it)["required"].remove("name"),
    "type wider": lambda it: wish(it)["properties"].update(kind={"anyOf": [TEXT, {"type": "null"}]}),
    "integer to number": lambda it: parameter(it)["schema"].update(type="number"),
    "enum wider": lambda it: wish(it)["properties"]["kind"]["enum"].append("c"),
    "any value": lambda it: wish(it)["properties"]["kind"].pop("enum"),
    "longer at most": lambda it: wish(it)["properties"]["name"].update(maxLength=10),
    "no pattern": lambda it: wish(it)["properties"]["name"].pop("pattern"),
    "new field of the answer": lambda it: thing(it)["properties"].update(new=TEXT),
    "field of the answer always there": lambda it: thing(it)["required"].append("count"),
    "fewer values of the answer": lambda it: thing(it)["properties"]["state"]["enum"].pop(),
    "never null": lambda it: thing(it)["properties"].update(owner=TEXT),
    "new header": lambda it: made(it)["headers"].update(New={"required": True, "schema": TEXT}),
    "header always there": lambda it: made(it)["headers"]["RateLimit"].update(required=True),
    "new problem": lambda it: post(it)["responses"].update({"429": {}}),
    "words": lambda it: post(it).update(description="201 with it.", summary="Make one", tags=["Things"]),
    "examples": lambda it: wish(it)["properties"]["name"].update(examples=["a"], description="Its name."),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_change_that_breaks_clients_is_named(name: str) -> None:
    change, expected = BREAKS[name]
    assert any(expected in line for line in changed(change)), changed(change)


@pytest.mark.parametrize("name", HARMLESS)
def test_a_change_that_breaks_nobody_is_not_complained_of(name: str) -> None:
    assert changed(HARMLESS[name]) == []


def test_the_description_does_not_break_itself() -> None:
    made_now = document.document()
    assert breaking_changes(made_now, made_now) == []


# ---------------------------------------------------------------- the commands


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the description that the commands work on."""
    copy = tmp_path / "openapi.json"
    copy.write_text(document.text())
    monkeypatch.setattr(command, "COMMITTED", copy)
    return copy


def rewrite(copy: Path, change: Change) -> str:
    whole = json.loads(copy.read_text())
    change(whole)
    copy.write_text(json.dumps(whole))
    return copy.read_text()


def test_the_right_description_passes(committed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["check"]) == 0
    assert capsys.readouterr().err == ""


def test_a_stale_description_fails_and_says_what_to_do(committed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stale = rewrite(committed, lambda it: it["info"].update(title="Old"))
    assert command.main(["check"]) == 1
    assert "run make openapi" in capsys.readouterr().err
    assert committed.read_text() == stale
    assert command.main(["write"]) == 0
    assert committed.read_text() == document.text()
    assert command.main(["check"]) == 0


def test_what_breaks_clients_is_listed_and_not_written(committed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def promise_more(whole: Any) -> None:
        whole["paths"]["/gone"] = {"get": deepcopy(whole["paths"]["/healthz"]["get"])}

    before = rewrite(committed, promise_more)
    assert command.main(["check"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "GET /gone: is gone" in lines[0]
    assert "run make openapi" in lines[-1]
    assert command.main(["write"]) == 1
    assert "ALLOW_BREAKING=1" in capsys.readouterr().err
    assert committed.read_text() == before
    assert command.main(["write", "--allow-breaking"]) == 0
    assert committed.read_text() == document.text()


def test_the_first_description_is_written(committed: Path) -> None:
    committed.unlink()
    assert command.main(["check"]) == 1
    assert command.main(["write"]) == 0
    assert committed.read_text() == document.text()


@pytest.mark.parametrize("arguments", [["--help"], ["write", "--help"], ["check", "--help"]])
def test_help_says_what_a_command_does(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 0
    assert "openapi" in capsys.readouterr().out
