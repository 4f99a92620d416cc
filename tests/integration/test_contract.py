"""What every generating service promises, over HTTP: made, stored, indexed, listed, read, downloaded, deleted."""

import json
from typing import Any

import pytest
import requests

from generation.services import CONTENT_TYPES, Service
from tests.integration.client import Api, Platform, User, assert_problem, eventually
from tests.services import NAMES, SERVICES

RECORD_FIELDS = {
    "id", "userId", "username", "service", "provider", "model", "prompt", "promptHash", "status", "latencyMs",
    "size", "cost", "createdAt", "artifacts", "meta",
}  # fmt: skip
LINE_FIELDS = {
    "id", "createdAt", "service", "provider", "model", "prompt", "status", "contentType", "bytes", "record",
}  # fmt: skip
GENERATION_FIELDS = {"id", "service", "status", "prompt", "createdAt", "userId", "s3", "meta", "links"}
ID = "01a203f4-c93d-73f7-ad77-fc2ab9452dce"
BODIES: list[tuple[bytes, int]] = [
    (b"", 400), (b"{", 400), (b'{"x": NaN}', 400), (b"[" * 60_000, 400), (b"[]", 422), (b"null", 422), (b"{}", 422),
    (b'{"x": "' + b"a" * 1_048_576 + b'"}', 413),
]  # fmt: skip
QUERIES = [
    "limit=0", "limit=101", "limit=x", "limit=", "limit=1.5", "cursor=x", "cursor=%00", "cursor=" + "A" * 22, "from=x",
    "from=2026-13-01", "to=2026-02-30", "from=2026-02-02&to=2026-02-01",
]  # fmt: skip
IDS = [
    "x", "1", ID.upper(), ID[:-1], "00000000-0000-0000-0000-000000000000", "..%2f..%2fetc", "%00", "🦊", "%F0%9F",
    "a" * 2000,
]  # fmt: skip

each_service = pytest.mark.parametrize("service", SERVICES, ids=NAMES)


def text_of(service: Service) -> str:
    """The field that says what is asked for: the sample's first."""
    return next(iter(service.sample))


def made_by(caller: Api, service: Service, text: str | None = None) -> Any:
    """A generation of the sample, or of another text."""
    body = {**service.sample, **({} if text is None else {text_of(service): text})}
    answer = caller.post(f"/{service.name}/generate", body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == answer.json()["links"]["self"] == f"/{service.name}/{answer.json()['id']}"
    return answer.json()


@each_service
def test_a_generation_is_made_stored_indexed_listed_and_downloaded(
    platform: Platform, ana: User, service: Service
) -> None:
    made = made_by(ana, service)
    assert set(made) == GENERATION_FIELDS | set(service.told)
    assert (made["userId"], made["status"], made["service"]) == (ana.id, "completed", service.name)
    assert made["prompt"] == service.sample[text_of(service)]
    assert set(made["meta"]) <= {
        *service.shown, "provider", "model", "latencyMs", "contentType", "bytes", "fallbackFrom", "fallbackReason",
    }  # fmt: skip

    day = made["createdAt"][:10].replace("-", "/")
    folder = f"requests/{day}/{made['id']}"
    (ending,) = [ending for ending in service.extensions if CONTENT_TYPES[ending] == made["meta"]["contentType"]]
    artifact = f"{folder}/{service.artifact}/{service.filename}.{ending}"
    assert made["s3"] == {
        "input": f"{folder}/input.json",
        "record": f"{folder}/record.json",
        service.artifact: artifact,
    }
    assert sorted(platform.keys(service.name, f"{folder}/")) == sorted(made["s3"].values())

    record = json.loads(platform.read(service.name, made["s3"]["record"]))
    assert set(record) == RECORD_FIELDS
    assert (record["id"], record["userId"], record["username"]) == (made["id"], ana.id, ana.email)
    assert record["artifacts"] == {service.artifact: artifact}
    assert record["size"]["outputBytes"] == made["meta"]["bytes"] == len(platform.read(service.name, artifact))

    (line,) = eventually(lambda: platform.lines(service.name, ana.id))
    assert set(line) == LINE_FIELDS
    assert (line["id"], line["record"]) == (made["id"], made["s3"]["record"])
    # A service may keep sessions of its users beside their histories.
    kept = [key for key in platform.keys(service.name, f"users/{ana.id}/") if f"/{service.name}/sessions/" not in key]
    assert kept == [f"users/{ana.id}/{service.name}/history/{day}.jsonl"]
    listed = ana.get(f"/admin/{service.plural}").json()
    assert [item["id"] for item in listed["items"]] == [made["id"]]
    assert (listed["nextCursor"], listed["items"][0]["links"]) == (None, made["links"])

    assert ana.get(made["links"]["self"]).json() == made
    download = ana.get(made["links"]["download"])
    assert set(download.json()) == {"url", "expiresIn", "contentType"}
    assert download.headers["Cache-Control"] == "no-store"
    redirect = ana.get(f"{made['links']['download']}?redirect=true")
    assert (redirect.status_code, redirect.content) == (302, b"")
    assert "json" not in redirect.headers.get("Content-Type", "")
    for url in (download.json()["url"], redirect.headers["Location"]):
        content = requests.get(url, timeout=120)
        assert content.status_code == 200
        assert content.headers["Content-Type"] == made["meta"]["contentType"]
        assert content.content == platform.read(service.name, artifact)


@each_service
def test_what_is_deleted_is_gone_for_good(platform: Platform, ana: User, bob: User, service: Service) -> None:
    made = made_by(ana, service)
    assert eventually(lambda: platform.lines(service.name, ana.id))
    path = made["links"]["self"]
    assert_problem(bob.call("DELETE", path), 404)
    for _time in range(2):
        assert ana.call("DELETE", path).status_code == 204
    assert_problem(ana.get(path), 404)
    assert_problem(ana.get(made["links"]["download"]), 404)
    assert not [key for key in platform.keys(service.name, "requests/") if made["id"] in key]
    assert eventually(lambda: ana.get(f"/admin/{service.plural}").json()["items"] == [])


@each_service
def test_what_is_made_anonymously_is_for_whoever_knows_its_id(
    platform: Platform, api: Api, bob: User, service: Service
) -> None:
    made = made_by(api, service)
    assert made["userId"] is None
    for anybody in (api, bob):
        assert anybody.get(made["links"]["self"]).json() == made
    record = json.loads(platform.read(service.name, made["s3"]["record"]))
    assert (record["userId"], record["username"]) == ("anonymous", "anonymous")
    assert eventually(lambda: made["id"] in [line["id"] for line in platform.lines(service.name, "anonymous")])


@each_service
@pytest.mark.needs("refusals")
def test_who_has_no_token_lists_and_deletes_nothing(api: Api, service: Service) -> None:
    assert_problem(api.get(f"/admin/{service.plural}"), 401)
    assert_problem(api.call("DELETE", f"/{service.name}/{ID}"), 401)


@each_service
def test_a_users_artifact_is_nobody_elses(api: Api, ana: User, bob: User, service: Service) -> None:
    made = made_by(ana, service)
    for stranger in (bob, api):
        assert_problem(stranger.get(made["links"]["self"]), 404)
        assert_problem(stranger.get(made["links"]["download"]), 404)
    assert_problem(bob.get(f"/admin/{service.plural}?userId={ana.id}"), 403)


@each_service
@pytest.mark.needs("s3_signatures")
def test_a_signed_url_is_for_one_artifact_and_as_it_was_signed(ana: User, service: Service) -> None:
    made = made_by(ana, service)
    signed = ana.get(made["links"]["download"]).json()["url"]
    assert requests.get(signed, timeout=120).status_code == 200
    assert requests.get(signed.partition("?")[0], timeout=120).status_code == 403
    assert requests.get(signed.replace("X-Amz-Signature=", "X-Amz-Signature=0"), timeout=120).status_code == 403
    other = signed.replace(made["id"], made["id"][:-1] + ("0" if made["id"][-1] != "0" else "1"))
    assert requests.get(other, timeout=120).status_code == 403


@each_service
def test_a_key_makes_one_generation(platform: Platform, ana: User, service: Service) -> None:
    path, key = f"/{service.name}/generate", {"Idempotency-Key": f"contract-{service.name}"}
    first, again = (ana.post(path, dict(service.sample), headers=key) for _ in range(2))
    assert (first.status_code, again.status_code, again.text) == (201, 201, first.text)
    other = {**service.sample, text_of(service): "something else"}
    assert assert_problem(ana.post(path, other, headers=key), 422)["type"].endswith(":idempotency-key-reused")


@each_service
def test_a_body_that_is_no_request_is_a_documented_4xx(api: Api, service: Service) -> None:
    for content, status in BODIES:
        headers = {"Content-Type": "application/json"}
        assert_problem(api.call("POST", f"/{service.name}/generate", data=content, headers=headers), status)
    for value in (None, 1, True, 1.5, [], {}, ["x"], "", " \n\t ", "\ud800", "nul \0 character"):
        problem = assert_problem(
            api.post(f"/{service.name}/generate", {**service.sample, text_of(service): value}), 422
        )
        assert [error["field"] for error in problem["errors"]] == [text_of(service)], value


@each_service
@pytest.mark.needs("raw_paths")
def test_an_id_that_is_not_ours_is_404(ana: User, service: Service) -> None:
    for identifier in IDS:
        for method, end in (("GET", ""), ("GET", "/download"), ("DELETE", "")):
            assert_problem(ana.call(method, f"/{service.name}/{identifier}{end}"), 404)


@each_service
def test_a_query_value_that_is_not_valid_is_422(ana: User, service: Service) -> None:
    for query in QUERIES:
        assert_problem(ana.get(f"/admin/{service.plural}?{query}"), 422)
    assert_problem(ana.get(f"/{service.name}/{ID}/download?redirect=perhaps"), 422)


@each_service
def test_a_method_that_a_path_does_not_have_is_405_and_every_get_answers_head(ana: User, service: Service) -> None:
    made = made_by(ana, service)
    item, history = made["links"]["self"], f"/admin/{service.plural}"
    for path, has in (
        (f"/{service.name}/generate", {"POST"}),
        (item, {"GET", "HEAD", "DELETE"}),
        (made["links"]["download"], {"GET", "HEAD"}),
        (history, {"GET", "HEAD"}),
    ):
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - has:
            answer = ana.call(method, path)
            assert_problem(answer, 405)
            assert set(answer.headers["Allow"].split(", ")) == has | {"OPTIONS"}
        if "HEAD" in has:
            head, get = ana.call("HEAD", path), ana.get(path)
            assert (head.status_code, head.content, head.headers["Content-Type"]) == (
                200,
                b"",
                get.headers["Content-Type"],
            )
        preflight = ana.call("OPTIONS", path, headers={"Origin": "https://app.example.com"})
        assert preflight.ok
        assert preflight.headers["Access-Control-Allow-Origin"] == "*"


@each_service
def test_limits_are_told_and_a_bad_token_is_no_anonymous_caller(api: Api, ana: User, service: Service) -> None:
    told = ana.post(f"/{service.name}/generate", dict(service.sample)).headers
    assert {"ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"} <= {name.lower() for name in told}
    bad = {"Authorization": "Bearer nonsense"}
    for method, path in (("POST", f"/{service.name}/generate"), ("GET", f"/{service.name}/{ID}")):
        body = dict(service.sample) if method == "POST" else None
        assert_problem(api.call(method, path, body, headers=bad), 401)
