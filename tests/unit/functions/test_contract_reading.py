"""What every generating service promises of reading, downloading, listing and deleting."""

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from core import ids
from core.errors import Unauthorized
from core.identity import Identity, TokenVerifier
from generation import library
from generation.providers import Deadline
from generation.segments import Day
from generation.services import Service
from generation.storage import open_bucket
from generation.tombstones import Tombstone
from tests import events
from tests.events import Gateway
from tests.unit.functions.calls import Calls, stored
from tests.unit.generation.samples import identifier, line
from tests.unit.stand_ins import ADMIN, ANA, BEN, CONTENT, Watch

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ODD_IDS = [
    "x", "..", "%2e%2e", "a/b", "\0", "é", "😀", " ", "A" * 5000, identifier(rest=0xAB).upper(), "1;DROP", "<x>",
    "null", *(identifier() + end for end in ("\n", "/", "//", "\r\n", "/x", " ", "0")),
]  # fmt: skip


def keys_in(s3: "S3Client", bucket: str) -> set[str]:
    return set(stored(s3, bucket))


def tombstone(record_id: str) -> str:
    return f"deleted/{ids.created_at(record_id):%Y/%m/%d}/{record_id}.json"


# ---------------------------------------------------------------- get and download


def test_what_was_made_is_read_and_downloaded_as_it_was_answered(
    s3: "S3Client", bucket: str, gateway: Gateway, calls: Calls, service: Service
) -> None:
    made = calls.made(ANA, gateway=gateway)
    found = calls.ask("get", made["id"], caller=ANA, gateway=gateway)
    assert (found.status, found.json) == (200, made)
    answer = calls.ask("download", made["id"], caller=ANA, gateway=gateway)
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    assert set(answer.json) == {"url", "expiresIn", "contentType"}
    assert (answer.json["expiresIn"], answer.json["contentType"]) == (900, service.content_types[0])
    assert urlsplit(answer.json["url"]).path.endswith(made["s3"][service.artifact])
    assert s3.get_object(Bucket=bucket, Key=made["s3"][service.artifact])["Body"].read() == CONTENT
    for name in ("get", "download"):
        method, resource = calls.routes[name]
        event = gateway("HEAD", resource, parameters={"id": made["id"]}, identity=ANA.context())
        response = calls.function(name).handler(event, events.Context())
        assert (response["statusCode"], response["body"], method) == (200, "", "GET")


@pytest.mark.usefixtures("bucket")
def test_a_download_can_be_a_redirect(gateway: Gateway, calls: Calls) -> None:
    record_id = calls.made(None)["id"]
    for value in ("true", "True", "1"):
        answer = calls.ask("download", record_id, query={"redirect": value}, gateway=gateway)
        assert (answer.status, answer.body, answer.headers["cache-control"]) == (302, "", "no-store")
        assert "X-Amz-Signature" in parse_qs(urlsplit(answer.headers["location"]).query)
    for value in ("false", "False", "0"):
        assert calls.ask("download", record_id, query={"redirect": value}, gateway=gateway).status == 200
    for value in ("", "x", "2", "TRUE", "yes"):
        answer = calls.ask("download", record_id, query={"redirect": value}, gateway=gateway)
        assert answer.wrong_fields() == {"redirect"}


@pytest.mark.usefixtures("bucket")
def test_a_users_is_404_to_everybody_else_and_nobodys_is_whose_it_is_who_knows_it(calls: Calls) -> None:
    of_ana, of_nobody = calls.made(ANA)["id"], calls.made(None)["id"]
    for name in ("get", "download"):
        for stranger in (None, BEN):
            hidden = calls.ask(name, of_ana, caller=stranger).problem(404)
            assert hidden == calls.ask(name, ids.new(), caller=stranger).problem(404)
        for caller in (ANA, ADMIN):
            assert calls.ask(name, of_ana, caller=caller).status == 200
        for anybody in (None, BEN):
            assert calls.ask(name, of_nobody, caller=anybody).status == 200


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("name", ["get", "download", "delete"])
def test_an_id_that_is_not_ours_is_404(gateway: Gateway, calls: Calls, name: str) -> None:
    for record_id in ODD_IDS:
        calls.ask(name, record_id, caller=ADMIN, gateway=gateway).problem(404)


def test_storage_that_is_down_is_503(s3_watch: Watch, calls: Calls) -> None:
    for name in ("get", "download", "delete"):
        s3_watch.answer("GetObject", 403, "AccessDenied")
        calls.ask(name, ids.new(), caller=ANA).problem(503)
    s3_watch.answer("ListObjectsV2", 503, "SlowDown")
    calls.ask("list", caller=ANA).problem(503)


# ---------------------------------------------------------------- list


def remember(service: Service, bucket: str, count: int) -> list[str]:
    """Let Ana have made so many, all on one day; the newest first."""
    record_ids = [identifier(rest=rest) for rest in range(count)]
    day = Day(service, open_bucket(bucket), ANA.sub, ids.created_at(record_ids[0]).date())
    day.append([line(record_id, service) for record_id in record_ids], Deadline(9))
    return record_ids[::-1]


def test_the_list_is_paged_newest_first(bucket: str, gateway: Gateway, calls: Calls, service: Service) -> None:
    record_ids = remember(service, bucket, 25)
    first = calls.ask("list", caller=ANA, gateway=gateway).json
    assert [item["id"] for item in first["items"]] == record_ids[:20]
    assert set(first) == {"items", "nextCursor"}
    assert set(first["items"][0]) == {
        "id", "createdAt", "service", "provider", "model", "prompt", "status", "contentType", "bytes", "record", "links",
    }  # fmt: skip
    rest = {"cursor": first["nextCursor"], "limit": "100"}
    second = calls.ask("list", caller=ANA, query=rest, gateway=gateway).json
    assert [item["id"] for item in second["items"]] == record_ids[20:]
    assert second["nextCursor"] is None
    for query in ({"cursor": rest["cursor"][:-1]}, {"cursor": "x"}):
        assert calls.ask("list", caller=ANA, query=query, gateway=gateway).wrong_fields() == {"cursor"}
    assert calls.ask("list", caller=BEN, query=rest, gateway=gateway).wrong_fields() == {"cursor"}
    admins = calls.ask("list", caller=ADMIN, query=rest | {"userId": ANA.sub}, gateway=gateway)
    assert len(admins.json["items"]) == 5


def test_days_bound_the_list(bucket: str, gateway: Gateway, calls: Calls, service: Service) -> None:
    remember(service, bucket, 1)

    def found(**query: str) -> int:
        return len(calls.ask("list", caller=ANA, query=query, gateway=gateway).json["items"])

    assert found(**{"from": "2026-11-22", "to": "2026-11-22"}) == 1
    assert (found(to="2026-11-21"), found(**{"from": "2026-11-23"})) == (0, 0)


def test_an_admin_lists_anybodys_and_a_user_only_the_own(
    bucket: str, gateway: Gateway, calls: Calls, service: Service
) -> None:
    remember(service, bucket, 1)
    wanted = {"userId": ANA.sub}
    for caller in (ADMIN, ANA):
        assert len(calls.ask("list", caller=caller, query=wanted, gateway=gateway).json["items"]) == 1
    calls.ask("list", caller=BEN, query=wanted, gateway=gateway).problem(403)
    calls.ask("list", caller=ADMIN, query={"userId": "nobody"}, gateway=gateway).problem(404)


@pytest.mark.usefixtures("bucket")
def test_a_value_of_the_query_that_is_not_valid_is_named(gateway: Gateway, calls: Calls) -> None:
    for name, value in (("limit", "0"), ("limit", "101"), ("limit", ""), ("from", "x"), ("to", "2026-02-30")):
        assert calls.ask("list", caller=ANA, query={name: value}, gateway=gateway).wrong_fields() == {name}
    wrong_way = {"from": "2026-01-02", "to": "2026-01-01"}
    assert calls.ask("list", caller=ANA, query=wrong_way, gateway=gateway).wrong_fields() == {"from"}
    assert calls.ask("list", caller=ANA, query={"page": "x", "LIMIT": "0"}, gateway=gateway).status == 200


@pytest.mark.usefixtures("bucket")
def test_the_list_and_a_deletion_need_a_token(gateway: Gateway, calls: Calls) -> None:
    for name in ("list", "delete"):
        answer = calls.ask(name, ids.new(), gateway=gateway)
        answer.problem(401)
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.usefixtures("bucket")
def test_the_identity_of_the_authorizer_is_taken_without_verifying_again(
    gateway: Gateway, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_id = calls.made(None, identity=ANA)["id"]

    def never(*_arguments: object) -> Identity:
        raise Unauthorized("verified again")

    monkeypatch.setattr(TokenVerifier, "verify", never)
    assert calls.ask("list", identity=ANA, gateway=gateway).status == 200
    assert calls.ask("get", record_id, identity=ANA, gateway=gateway).status == 200
    assert calls.ask("delete", record_id, identity=ANA, gateway=gateway).status == 204


# ---------------------------------------------------------------- index


def test_what_is_generated_is_listed_once_it_is_indexed(bucket: str, calls: Calls) -> None:
    made = calls.made(ANA)
    batch = events.sqs(events.s3_notification(bucket, made["s3"]["record"]), events.s3_test_event(bucket), "poison")
    expected = {"batchItemFailures": [{"itemIdentifier": "message-2"}]}
    for _time in range(2):
        assert calls.function("index").handler(batch, events.Context()) == expected
    (item,) = calls.ask("list", caller=ANA).json["items"]
    assert (item["id"], item["record"], item["links"]) == (made["id"], made["s3"]["record"], made["links"])


# ---------------------------------------------------------------- delete


@pytest.mark.parametrize("caller", [ANA, ADMIN], ids=["owner", "admin"])
def test_the_owner_and_admins_delete_again_and_again(
    s3: "S3Client", bucket: str, gateway: Gateway, calls: Calls, caller: Identity
) -> None:
    record_id = calls.made(ANA, gateway=gateway)["id"]
    for _time in range(3):
        answer = calls.ask("delete", record_id, caller=caller, gateway=gateway)
        assert (answer.status, answer.body, answer.headers["cache-control"]) == (204, "", "no-store")
        assert "content-type" not in answer.headers
        assert keys_in(s3, bucket) == {tombstone(record_id)}
    for name in ("get", "download"):
        calls.ask(name, record_id, caller=ANA).problem(404)


def test_to_others_there_is_nothing_to_delete(s3: "S3Client", bucket: str, gateway: Gateway, calls: Calls) -> None:
    of_ana, of_nobody = calls.made(ANA), calls.made(None)
    before = keys_in(s3, bucket)
    hidden = calls.ask("delete", of_ana["id"], caller=BEN, gateway=gateway).problem(404)
    assert hidden == calls.ask("delete", ids.new(), caller=BEN, gateway=gateway).problem(404)
    assert hidden == calls.ask("delete", of_nobody["id"], caller=ANA, gateway=gateway).problem(404)
    calls.ask("delete", of_nobody["id"], gateway=gateway).problem(401)
    assert keys_in(s3, bucket) == before
    assert calls.ask("delete", of_nobody["id"], caller=ADMIN, gateway=gateway).status == 204
    calls.ask("delete", of_ana["id"], caller=ANA, gateway=gateway)
    assert calls.ask("delete", of_ana["id"], caller=BEN, gateway=gateway).problem(404) == hidden


def test_the_line_goes_when_the_record_has_gone(bucket: str, calls: Calls) -> None:
    kept, gone = calls.made(ANA), calls.made(ANA)
    assert calls.indexed(bucket, kept["s3"]["record"], gone["s3"]["record"]) == []
    calls.ask("delete", gone["id"], caller=ANA)
    assert calls.indexed(bucket, gone["s3"]["record"]) == []
    assert calls.listed(ANA) == [kept["id"]]


def test_a_deletion_that_overtakes_its_creation_leaves_no_line(bucket: str, calls: Calls) -> None:
    made = calls.made(ANA)
    calls.ask("delete", made["id"], caller=ANA)
    for _message in range(2):
        assert calls.indexed(bucket, made["s3"]["record"]) == []
        assert calls.listed(ANA) == []


def test_a_deletion_that_broke_off_is_503_and_completed_by_a_repeat(
    s3: "S3Client", bucket: str, s3_watch: Watch, calls: Calls
) -> None:
    for operation, broken in (
        ("PutObject", "deleted/"),
        ("DeleteObject", calls.service.filename),
        ("DeleteObject", "input"),
        ("DeleteObject", "record"),
    ):
        made = calls.made(ANA)
        s3_watch.answer(operation, 503, "SlowDown", key=broken)
        calls.ask("delete", made["id"], caller=ANA).problem(503)
        assert made["s3"]["record"] in keys_in(s3, bucket)
        assert calls.ask("delete", made["id"], caller=ANA).status == 204
        assert {key for key in keys_in(s3, bucket) if made["id"] in key} == {tombstone(made["id"])}


def test_the_record_goes_last_and_the_tombstone_comes_first(s3_watch: Watch, calls: Calls, service: Service) -> None:
    made = calls.made(ANA)
    s3_watch.calls.clear()
    calls.ask("delete", made["id"], caller=ADMIN)
    assert [key for operation, key in s3_watch.calls if operation != "GetObject"] == [
        tombstone(made["id"]),
        made["s3"][service.artifact],
        made["s3"]["input"],
        made["s3"]["record"],
    ]
    found = Tombstone.read(library.open_library(service).bucket, made["id"])
    assert found is not None
    assert found.user_id == ANA.sub
