"""Conversations on a running platform, with the model that needs no network."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests

from tests.integration.client import Api, Platform, User, assert_problem, eventually
from tests.integration.workers import kill_workers, time_limit

LONG = {"prompt": "Write a long story about a lighthouse keeper and the sea.", "maxTokens": 250, "stream": True}
SHORT = {"prompt": "Say hello.", "maxTokens": 8}
FUNCTION_SECONDS = 15  # 300 in the template; here a crash is waited for


# The functions that know of models.
KNOWING = ("ChatGenerateFunction", "ChatModelsFunction", "ChatCreateSessionFunction", "ChatChangeSessionFunction")


@pytest.fixture(scope="module", autouse=True)
def _by_the_model_here(platform: Platform) -> Iterator[None]:
    """Let the model on this machine answer, where other tests of this platform ask a fake."""
    with platform.variables(*KNOWING, PROVIDERS="offline"):
        yield


def events(answer: requests.Response) -> Iterator[tuple[str, Any]]:
    """The events of a stream, as they arrive."""
    name = ""
    for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def stream(user: Api, body: dict[str, Any]) -> requests.Response:
    return user.session.post(
        f"{user.url}/chat/generate",
        json=body,
        headers={"Authorization": f"Bearer {user.token}"} if user.token else {},
        stream=True,
        timeout=300,
    )


def messages(user: User, session_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = user.get(f"/chat/sessions/{session_id}/messages").json()["items"]
    return items[::-1]


def test_a_conversation_is_kept(ana: User, bob: User) -> None:
    first = ana.post("/chat/generate", SHORT)
    assert first.status_code == 201, first.text
    made = first.json()
    assert (made["meta"]["provider"], made["meta"]["model"]) == ("offline", "SmolLM2-135M-Instruct")
    assert ana.get(first.headers["Location"]).json() == made

    second = ana.post("/chat/generate", SHORT | {"sessionId": made["sessionId"]}).json()
    assert second["meta"]["contextMessages"] == 3
    said = messages(ana, made["sessionId"])
    assert [item["id"] for item in said[1::2]] == [made["id"], second["id"]]
    session = ana.get(f"/chat/sessions/{made['sessionId']}").json()
    assert (session["title"], session["messages"]) == ("Say hello.", 4)
    assert session["usage"]["outputTokens"] == sum(each["meta"]["outputTokens"] for each in (made, second))
    assert [item["id"] for item in ana.get("/chat/sessions").json()["items"]] == [made["sessionId"]]
    assert_problem(bob.get(f"/chat/sessions/{made['sessionId']}"), 404)


def test_models_are_told_to_anybody(api: Api) -> None:
    (model,) = api.get("/chat/models").json()["items"]
    assert model == {"id": "smollm2-135m", "provider": "offline", "contextTokens": 2048, "default": True}


def test_an_anonymous_call_stands_alone(api: Api) -> None:
    made = api.post("/chat/generate", SHORT)
    assert made.status_code == 201, made.text
    assert made.json()["sessionId"] is None
    assert_problem(api.post("/chat/generate", SHORT | {"sessionId": made.json()["id"]}), 401)
    assert api.get("/chat/sessions").status_code == 401


@pytest.mark.needs("streaming")
def test_a_piece_is_here_while_the_model_still_writes(ana: User) -> None:
    with stream(ana, LONG) as answer:
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream")
        coming = events(answer)
        start, about = next(coming)
        assert start == "start"
        assert next(coming)[0] == "delta"
        # The session is held until the last piece is stored, so this one came before it.
        busy = ana.post("/chat/generate", SHORT | {"sessionId": about["sessionId"]})
        assert assert_problem(busy, 409)["type"].endswith(":session-busy")
        assert int(busy.headers["Retry-After"]) >= 1
        *deltas, (end, made) = coming

    assert end == "end"
    assert {name for name, _data in deltas} == {"delta"}
    assert made["text"].endswith("".join(data["text"] for _name, data in deltas))
    assert [item["id"] for item in messages(ana, about["sessionId"])][1] == made["id"] == about["id"]
    assert ana.post("/chat/generate", SHORT | {"sessionId": about["sessionId"]}).status_code == 201


def test_a_client_that_leaves_finds_the_whole_answer_in_the_session(ana: User) -> None:
    with stream(ana, LONG | {"maxTokens": 60}) as answer:
        coming = events(answer)
        _start, about = next(coming)
        _delta, piece = next(coming)

    said = eventually(lambda: messages(ana, about["sessionId"]))
    assert [item["role"] for item in said] == ["user", "assistant"]
    assert said[1]["content"].startswith(piece["text"])
    assert len(said[1]["content"]) > len(piece["text"])
    assert ana.get(f"/chat/{about['id']}").json()["finishReason"] in ("stop", "length")


@pytest.mark.needs("launcher")
def test_a_worker_killed_in_mid_stream_leaves_the_session_whole_and_usable(ana: User, platform: Platform) -> None:
    first = ana.post("/chat/generate", SHORT).json()
    in_session = {"sessionId": first["sessionId"]}
    began = time.monotonic()
    with time_limit(platform, "ChatGenerateFunction", FUNCTION_SECONDS), stream(ana, LONG | in_session) as answer:
        coming = events(answer)
        assert [next(coming)[0] for _ in range(2)] == ["start", "delta"]
        assert kill_workers(platform, "ChatGenerateFunction") > 0
        with suppress(requests.RequestException):
            assert "end" not in [name for name, _data in coming]

        early = ana.post("/chat/generate", SHORT | in_session)
        if early.status_code == 409:
            assert [item["id"] for item in messages(ana, first["sessionId"])][1:] == [first["id"]]
        else:  # a machine on which all of this took longer than the one that was killed may hold the session
            assert time.monotonic() - began > FUNCTION_SECONDS

        def retried() -> requests.Response | None:
            answered = ana.post("/chat/generate", SHORT | in_session)
            return None if answered.status_code == 409 else answered

        second = eventually(retried) if early.status_code == 409 else early
    assert second is not None
    assert second.status_code == 201, second.text
    said = messages(ana, first["sessionId"])
    assert [item["role"] for item in said] == ["user", "assistant"] * 2
    assert [item["id"] for item in said if item["role"] == "assistant"] == [first["id"], second.json()["id"]]
    assert ana.get(f"/chat/sessions/{first['sessionId']}").json()["messages"] == 4


def test_an_answer_that_is_deleted_stays_a_message_of_its_session(ana: User) -> None:
    made = ana.post("/chat/generate", SHORT).json()
    assert ana.call("DELETE", f"/chat/{made['id']}").status_code == 204
    assert [item["id"] for item in messages(ana, made["sessionId"])][1:] == [made["id"]]
    second = ana.post("/chat/generate", SHORT | {"sessionId": made["sessionId"]})
    assert second.status_code == 201, second.text
    assert second.json()["meta"]["contextMessages"] == 3
    assert len(messages(ana, made["sessionId"])) == 4


@pytest.mark.needs("launcher")
@pytest.mark.parametrize("who_sees_first", ["reader", "writer"])
def test_a_turn_whose_record_was_never_written_is_taken_out(ana: User, platform: Platform, who_sees_first: str) -> None:
    """As a worker leaves it that ends between the session and the record, and when it must have ended."""
    first = ana.post("/chat/generate", SHORT).json()
    cut_off = ana.post("/chat/generate", SHORT | {"sessionId": first["sessionId"]}).json()
    assert kill_workers(platform, "ChatGenerateFunction") > 0  # it knows of the record that it has written
    platform.aws("s3").delete_object(Bucket=platform.bucket("chat"), Key=cut_off["s3"]["record"])
    dynamodb, table = platform.aws("dynamodb"), platform.resource("ChatTable")
    key = {"user_id": {"S": ana.id}, "id": {"S": first["sessionId"]}}
    counted = json.loads(dynamodb.get_item(TableName=table, Key=key)["Item"]["counted"]["S"])
    assert counted[0] == cut_off["id"]
    assert_problem(ana.post("/chat/generate", SHORT | {"sessionId": first["sessionId"]}), 409)
    assert [item["id"] for item in messages(ana, first["sessionId"])][1:] == [first["id"]]
    dynamodb.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET counted = :now",
        ExpressionAttributeValues={":now": {"S": json.dumps([counted[0], 0, *counted[2:]])}},
    )
    if who_sees_first == "writer":
        third = ana.post("/chat/generate", SHORT | {"sessionId": first["sessionId"]}).json()
        expected = [first["id"], third["id"]]
        assert third["meta"]["contextMessages"] == 3
    else:
        expected = [first["id"]]
    assert [item["id"] for item in messages(ana, first["sessionId"])][1::2] == expected
    assert ana.get(f"/chat/sessions/{first['sessionId']}").json()["messages"] == 2 * len(expected)


def test_a_deleted_session_is_gone_with_all_that_it_held(ana: User, platform: Platform) -> None:
    made = ana.post("/chat/generate", SHORT).json()
    session_id = made["sessionId"]
    assert platform.keys("chat", f"users/{ana.id}/chat/sessions/{session_id}/")

    assert ana.call("DELETE", f"/chat/sessions/{session_id}").status_code == 204

    assert_problem(ana.get(f"/chat/sessions/{session_id}"), 404)
    assert_problem(ana.get(f"/chat/{made['id']}"), 404)
    assert ana.get("/chat/sessions").json() == {"items": [], "nextCursor": None}
    assert eventually(lambda: not platform.keys("chat", f"users/{ana.id}/chat/sessions/{session_id}/"))
    assert eventually(lambda: platform.lines("chat", ana.id) == [])


def test_what_the_queue_is_given_is_removed(ana: User, platform: Platform) -> None:
    made = ana.post("/chat/generate", SHORT).json()
    platform.aws("sqs").send_message(
        QueueUrl=platform.resource("ChatRemovalQueue"),
        MessageBody=json.dumps({"userId": ana.id, "sessionId": made["sessionId"]}),
    )
    assert eventually(lambda: ana.get(f"/chat/sessions/{made['sessionId']}").status_code == 404)
    assert eventually(lambda: ana.get(f"/chat/{made['id']}").status_code == 404)


def test_retention_runs_with_its_own_rights(platform: Platform) -> None:
    answer = platform.aws("lambda").invoke(FunctionName=platform.resource("ChatRetentionFunction"))
    assert "FunctionError" not in answer
    assert json.loads(answer["Payload"].read()) == {"sessions": 0}


def test_stars_titles_and_cursors(ana: User) -> None:
    made = [ana.post("/chat/sessions", {"title": title}).json()["id"] for title in ("one", "two", "three")]
    changed = ana.call("PATCH", f"/chat/sessions/{made[0]}", {"starred": True, "title": "first"})
    assert (changed.json()["title"], changed.json()["starred"]) == ("first", True)
    assert [item["id"] for item in ana.get("/chat/sessions?starred=true").json()["items"]] == [made[0]]
    page = ana.get("/chat/sessions?limit=2").json()
    rest = ana.get("/chat/sessions", params={"limit": "2", "cursor": page["nextCursor"]}).json()
    assert [item["id"] for item in page["items"] + rest["items"]] == made[::-1]
    assert rest["nextCursor"] is None
    assert_problem(ana.get("/chat/sessions?cursor=x"), 422)
