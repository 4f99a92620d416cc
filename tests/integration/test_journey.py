"""A newcomer's way through the platform, and what it leaves in storage."""

import json
import re
from uuid import uuid4

import pytest
import requests

from tests.integration.client import PASSWORD, Api, Platform, User, assert_problem, eventually

RECORD_FIELDS = {
    "id", "userId", "username", "service", "provider", "model", "prompt", "promptHash", "status", "latencyMs",
    "size", "cost", "createdAt", "artifacts", "meta",
}  # fmt: skip
LINE_FIELDS = {
    "id", "createdAt", "service", "provider", "model", "prompt", "status", "contentType", "bytes", "record",
}  # fmt: skip
GENERATION_FIELDS = {"id", "service", "status", "prompt", "createdAt", "userId", "s3", "meta", "links"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

SERVICES = [
    pytest.param("image", "/admin/images", {"prompt": "a lighthouse at dusk", "size": "128x96", "seed": 7}, id="image"),
    pytest.param("tts", "/admin/audios", {"prompt": "Buenos días. ¿Qué tal?", "voice": "es"}, id="tts"),
]


def test_register_login_and_who_am_i(api: Api) -> None:
    email = f"Newcomer-{uuid4().hex}@Example.com"
    registered = api.post("/auth/register", {"email": f"  {email} ", "password": PASSWORD})
    assert registered.status_code == 201
    assert registered.headers["Cache-Control"] == "no-store"
    tokens = registered.json()
    assert set(tokens) == {"accessToken", "refreshToken", "tokenType", "expiresIn", "user"}
    assert (tokens["tokenType"], tokens["expiresIn"]) == ("Bearer", 900)
    assert set(tokens["user"]) == {"id", "email", "role", "createdAt"}
    assert tokens["user"]["email"] == email
    assert TIME.fullmatch(tokens["user"]["createdAt"])

    logged_in = api.post("/auth/login", {"email": email.upper(), "password": PASSWORD})
    assert logged_in.status_code == 200
    assert logged_in.json()["user"] == tokens["user"]

    me = Api(api.url, logged_in.json()["accessToken"]).get("/users/me")
    assert (me.status_code, me.json()) == (200, tokens["user"])


@pytest.mark.parametrize(("service", "listing", "body"), SERVICES)
def test_a_generation_is_made_stored_indexed_listed_and_downloaded(
    platform: Platform, ana: User, service: str, listing: str, body: dict[str, object]
) -> None:
    answer = ana.post(f"/{service}/generate", body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert set(made) == GENERATION_FIELDS
    assert answer.headers["Location"] == made["links"]["self"] == f"/{service}/{made['id']}"
    assert (made["userId"], made["status"], made["prompt"]) == (ana.id, "completed", body["prompt"])

    day = made["createdAt"][:10].replace("-", "/")
    folder = f"requests/{day}/{made['id']}"
    artifact = "image" if service == "image" else "audio"
    ending = {"image/jpeg": "jpg", "image/png": "png", "audio/mpeg": "mp3"}[made["meta"]["contentType"]]
    stem = "image/original" if service == "image" else "audio/output"
    assert made["s3"] == {
        "input": f"{folder}/input.json",
        "record": f"{folder}/record.json",
        artifact: f"{folder}/{stem}.{ending}",
    }
    assert sorted(platform.keys(service, f"{folder}/")) == sorted(made["s3"].values())

    record = json.loads(platform.read(service, made["s3"]["record"]))
    assert set(record) == RECORD_FIELDS
    assert (record["id"], record["userId"], record["username"]) == (made["id"], ana.id, ana.email)
    assert record["artifacts"] == {artifact: made["s3"][artifact]}
    assert record["size"]["outputBytes"] == made["meta"]["bytes"] == len(platform.read(service, made["s3"][artifact]))

    lines = eventually(lambda: platform.lines(service, ana.id))
    assert [line["id"] for line in lines] == [made["id"]]
    assert set(lines[0]) == LINE_FIELDS
    assert lines[0]["record"] == made["s3"]["record"]
    assert platform.keys(service, f"users/{ana.id}/") == [f"users/{ana.id}/{service}/history/{day}.jsonl"]

    listed = ana.get(listing).json()
    assert [item["id"] for item in listed["items"]] == [made["id"]]
    assert listed["nextCursor"] is None

    assert ana.get(f"/{service}/{made['id']}").json() == made
    download = ana.get(f"/{service}/{made['id']}/download")
    assert set(download.json()) == {"url", "expiresIn", "contentType"}
    assert download.headers["Cache-Control"] == "no-store"
    redirect = ana.get(f"/{service}/{made['id']}/download?redirect=true")
    assert redirect.status_code == 302
    for url in (download.json()["url"], redirect.headers["Location"]):
        content = requests.get(url, timeout=120)
        assert content.status_code == 200
        assert content.headers["Content-Type"] == made["meta"]["contentType"]
        assert content.content == platform.read(service, made["s3"][artifact])


@pytest.mark.parametrize(("service", "listing", "body"), SERVICES)
def test_what_is_made_anonymously_is_for_whoever_knows_its_id(
    platform: Platform, api: Api, bob: User, service: str, listing: str, body: dict[str, object]
) -> None:
    made = api.post(f"/{service}/generate", body).json()
    assert made["userId"] is None
    assert api.get(f"/{service}/{made['id']}").json() == made
    assert bob.get(f"/{service}/{made['id']}").json() == made
    record = json.loads(platform.read(service, made["s3"]["record"]))
    assert (record["userId"], record["username"]) == ("anonymous", "anonymous")
    assert eventually(lambda: [line for line in platform.lines(service, "anonymous") if line["id"] == made["id"]])
    assert_problem(api.get(listing), 401)


@pytest.mark.parametrize(("service", "_listing", "body"), SERVICES)
def test_a_users_artifact_is_nobody_elses(
    platform: Platform, api: Api, ana: User, bob: User, service: str, _listing: str, body: dict[str, object]
) -> None:
    made = ana.post(f"/{service}/generate", body).json()
    for stranger in (bob, api):
        assert_problem(stranger.get(f"/{service}/{made['id']}"), 404)
        assert_problem(stranger.get(f"/{service}/{made['id']}/download"), 404)


@pytest.mark.needs("s3_signatures")
@pytest.mark.parametrize(("service", "_listing", "body"), SERVICES)
def test_a_signed_url_is_for_one_artifact_and_as_it_was_signed(
    platform: Platform, ana: User, service: str, _listing: str, body: dict[str, object]
) -> None:
    made = ana.post(f"/{service}/generate", body).json()
    signed = ana.get(f"/{service}/{made['id']}/download").json()["url"]
    assert requests.get(signed, timeout=120).status_code == 200
    assert requests.get(signed.partition("?")[0], timeout=120).status_code == 403
    assert requests.get(signed.replace("X-Amz-Signature=", "X-Amz-Signature=0"), timeout=120).status_code == 403
    other_key = signed.replace(made["s3"]["input"].split("/")[-2], made["id"][:-1] + "0")
    assert requests.get(other_key, timeout=120).status_code in (403, 200 if other_key == signed else 403)


def test_an_admin_reads_and_lists_what_is_anothers(platform: Platform, ana: User, bob: User) -> None:
    made = ana.post("/image/generate", {"prompt": "a fox", "size": "64x64"}).json()
    eventually(lambda: platform.lines("image", ana.id))
    assert_problem(bob.get(f"/admin/images?userId={ana.id}"), 403)
    platform.command("promote", bob.email)
    admin = Api(bob.url, bob.post("/auth/refresh", {"refreshToken": bob.refresh_token}).json()["accessToken"])
    assert admin.get("/users/me").json()["role"] == "admin"
    assert admin.get(f"/image/{made['id']}").json() == made
    assert [item["id"] for item in admin.get(f"/admin/images?userId={ana.id}").json()["items"]] == [made["id"]]


def test_the_same_seed_makes_the_same_picture(platform: Platform, ana: User) -> None:
    body = {"prompt": "an owl [[status:503]]", "size": "96x64", "seed": 5}
    first, second = (ana.post("/image/generate", body).json() for _ in range(2))
    assert (first["meta"]["provider"], first["meta"]["seed"]) == ("offline", 5)
    assert platform.read("image", first["s3"]["image"]) == platform.read("image", second["s3"]["image"])


def test_a_history_is_paged_newest_first(platform: Platform, ana: User) -> None:
    made = [ana.post("/image/generate", {"prompt": str(n), "size": "64x64"}).json() for n in range(5)]
    eventually(lambda: len(platform.lines("image", ana.id)) == 5)
    seen, cursor = [], ""
    while cursor is not None:
        page = ana.get(f"/admin/images?limit=2{cursor and f'&cursor={cursor}'}").json()
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        cursor = page["nextCursor"]
    assert seen == [one["id"] for one in made[::-1]]
    first_day, last_day = (one["createdAt"][:10] for one in (made[0], made[-1]))
    assert len(ana.get(f"/admin/images?from={first_day}&to={last_day}").json()["items"]) == 5
    assert ana.get("/admin/images?from=2020-01-01&to=2020-12-31").json()["items"] == []


def test_health_and_keys_are_open(api: Api) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}
    parts = dict.fromkeys(("postgresql", "signingKeys", "s3", "dynamodb"), "ok")
    assert api.get("/healthz?deep=true").json() == {"status": "ok", "parts": parts}
    jwks = api.get("/.well-known/jwks.json")
    assert "max-age" in jwks.headers["Cache-Control"]
    assert all(set(key) == {"kty", "use", "alg", "kid", "n", "e"} for key in jwks.json()["keys"])
