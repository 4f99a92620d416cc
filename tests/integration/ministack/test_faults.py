"""Each thing that the platform changes in MiniStack: that MiniStack alone lacks it, and that the change brings it.

The first of the two fails on the day when MiniStack does it itself. Then the change goes.
"""

import gzip
import importlib
import json
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from localstack import ministack as changes

from tests.integration.client import eventually
from tests.integration.ministack import stack
from tests.integration.ministack.stack import BUCKET, STARTING_AT_ONCE, MiniStack

# Of the embedded platform alone, whichever target the other tests run against.
pytestmark = pytest.mark.needs("launcher")

Fault = Callable[[MiniStack, Path], bool]
FAULTS: dict[str, Fault] = {}


def fault(change: str) -> Callable[[Fault], Fault]:
    """What follows is whether the fault is there that this change mends."""

    def noted(probe: Fault) -> Fault:
        FAULTS[change] = probe
        return probe

    return noted


@fault("gateway._import_gateway_responses")
def gateway_responses_of_the_definition_are_ignored(ministack: MiniStack, _folder: Path) -> bool:
    status, body, _ = ministack.call("/nowhere")
    return (status, body) != (404, b'{"kind":"no-route"}')


@fault("gateway._import_mock_integrations")
def preflight_answers_have_no_headers(ministack: MiniStack, _folder: Path) -> bool:
    return ministack.call("/mock", "OPTIONS")[2]["X-Mock"] != "yes"


@fault("gateway._keep_authorizer_context")
def gateway_responses_do_not_quote_the_authorizer(ministack: MiniStack, _folder: Path) -> bool:
    status, body, _ = ministack.call("/protected", Authorization="Bearer any")
    assert status in (401, 403)
    return body != b'{"reason":"a word of the authorizer"}'


@fault("gateway._answer_integration_errors")
def a_failing_function_is_not_answered_as_the_gateway_does(ministack: MiniStack, _folder: Path) -> bool:
    status, body, _ = ministack.call("/call/raise")
    failed = status != 502 or b"secret" in body
    slow = ministack.call("/quick/slow")[0] != 504
    empty = ministack.call("/call/empty")[:2] != (204, b"")
    return failed or slow or empty


@fault("gateway._compress")
def long_answers_leave_uncompressed(ministack: MiniStack, _folder: Path) -> bool:
    _, body, headers = ministack.call("/call/bytes", **{"Accept-Encoding": "gzip"})
    plain = ministack.call("/call/bytes")[1]
    return headers["Content-Encoding"] != "gzip" or gzip.decompress(body) != plain


@fault("gateway._hand_over_bytes")
def a_body_that_is_not_text_is_replaced(ministack: MiniStack, _folder: Path) -> bool:
    return ministack.call("/call/bytes", "POST", b"\xff", **{"Content-Type": "application/json"})[1] != b"True"


@fault("gateway._update_in_place")
def a_changed_api_gets_another_id(ministack: MiniStack, _folder: Path) -> bool:
    def api(path: str) -> dict[str, Any]:
        mock = {"x-amazon-apigateway-integration": {"type": "mock"}}
        definition = {"openapi": "3.0.1", "info": {"title": "changing", "version": "1"}, "paths": {path: {"get": mock}}}
        return {"Resources": {"Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": definition}}}}

    before = ministack.deploy("changing", api("/one"))
    return ministack.deploy("changing", api("/two")) != before


@fault("functions_pool._use_interpreter")
def functions_see_the_emulators_packages_or_their_layers_first(ministack: MiniStack, _folder: Path) -> bool:
    seen = ministack.invoke("Function", what="see")
    return bool(seen["hypercorn"]) or seen["shared"] != "function"


@fault("functions_pool._share_unpacked_code")
def each_environment_unpacks_its_code(ministack: MiniStack, _folder: Path) -> bool:
    return not ministack.invoke("Function", what="see")["linked"]


@fault("functions_pool._bound_cold_starts")
def a_burst_starts_more_environments_at_once_than_there_are_processors(ministack: MiniStack, _folder: Path) -> bool:
    with ThreadPoolExecutor(STARTING_AT_ONCE) as callers:
        calls = [callers.submit(ministack.invoke, "Meeting", what="see") for _ in range(STARTING_AT_ONCE)]
    return all((call.result() or {}).get("together") for call in calls)


@fault("forking._copy_environments")
def each_environment_loads_its_code_anew(ministack: MiniStack, folder: Path) -> bool:
    calls = 4
    with ThreadPoolExecutor(calls) as callers:
        told = [
            callers.submit(ministack.invoke, "Forking", what="meet", folder=str(folder), expected=calls)
            for _ in range(calls)
        ]
        loaded = [call.result() for call in told]
    assert None not in loaded
    # The first environment is one of its own in any case.
    return len(set(loaded)) > 2


@fault("functions_pool._finish_calls")
def a_change_of_a_function_ends_its_calls(ministack: MiniStack, folder: Path) -> bool:
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(ministack.invoke, "Busy", what="wait", folder=str(folder))
        assert eventually((folder / "started").exists)
        functions = ministack.client("lambda")
        functions.update_function_configuration(FunctionName=ministack.resources["Busy"], MemorySize=256)
        (folder / "go").touch()
        return call.result() is not True


@fault("calls._end_logs")
def a_call_waits_for_what_is_logged_after_it(ministack: MiniStack, _folder: Path) -> bool:
    words = [f"word-{number}" for number in range(20)]
    logs = [ministack.log_of("Muttering", what="mutter", word=word) for word in words]
    return any(word in log for word, log in zip(words, logs, strict=True))


@fault("calls._read_in_one_thread")
def a_call_starts_threads_that_read(ministack: MiniStack, _folder: Path) -> bool:
    return done(ministack, lambda: ministack.invoke("Muttering", what="see"))["readers"] > 0


@fault("calls._keep_threads")
def each_call_and_each_event_starts_a_thread(ministack: MiniStack, _folder: Path) -> bool:
    s3, (bucket, told) = ministack.client("s3"), listened(ministack)

    def event() -> None:
        s3.put_object(Bucket=bucket, Key="record.json", Body=b"")
        assert eventually(told) == ["record.json"]

    called = done(ministack, lambda: ministack.invoke("Function", what="see"))["callers"]
    heard = done(ministack, event)
    return called + heard["threads"] + heard["callers"] > 0


@fault("functions_pool._go_second")
def functions_compete_with_who_they_wait_for(ministack: MiniStack, _folder: Path) -> bool:
    first = os.getpriority(os.PRIO_PROCESS, ministack.process.pid)
    return bool(ministack.invoke("Function", what="see")["nice"] <= first)


@fault("batches.install")
def a_batch_of_messages_is_smaller_than_its_mapping_says(ministack: MiniStack, _folder: Path) -> bool:
    sqs, functions = ministack.client("sqs"), ministack.client("lambda")
    queue = ministack.resources["Queue"]
    for number in range(20):
        sqs.send_message(QueueUrl=queue, MessageBody=str(number))
    mapping = ministack.resources["Mapping"]
    functions.update_event_source_mapping(UUID=mapping, Enabled=True)

    def result() -> str:
        found = functions.get_event_source_mapping(UUID=mapping).get("LastProcessingResult", "")
        return found if found.startswith("OK") else ""

    told = eventually(result)
    assert told, "no batch came"
    return told != "OK - 20 records"


def counts(ministack: MiniStack) -> Counter[str]:
    """How often MiniStack has done what nobody sees from without."""
    return Counter(json.loads(ministack.open(f"{ministack.url}/counts")[1]))


def done(ministack: MiniStack, call: Callable[[], object]) -> Counter[str]:
    """What it does for a call that it has had before."""
    call()
    before = counts(ministack)
    call()
    return counts(ministack) - before


def listened(ministack: MiniStack) -> tuple[str, Callable[[], list[str]]]:
    """A bucket, and the keys that end in `.json` of which a queue is told."""
    s3, sqs, bucket = ministack.client("s3"), ministack.client("sqs"), f"bucket-{uuid.uuid4()}"
    queue = sqs.create_queue(QueueName=bucket)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    leave = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps({"Statement": [leave]})})
    only = {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".json"}]}}
    listener = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": only}
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [listener]}
    )

    def keys() -> list[str]:
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        records = [record for message in received for record in json.loads(message["Body"]).get("Records", [])]
        return [record["s3"]["object"]["key"] for record in records]

    return bucket, keys


def put(ministack: MiniStack) -> None:
    """Write objects whose paths are in each other's way: each time the disk has all that is there, and nothing else."""
    s3 = ministack.client("s3")
    for keys in (
        ("folder/object", "folder/object", "folder/object/under", "-folder/object", "folder/object/under"),
        ("folder/new/object", "folder", "folder", "folder/new/object", "-folder/new/object", "folder"),
        ("folder//object", "folder/object", "folder//object"),
    ):
        bucket, objects = f"bucket-{uuid.uuid4()}", dict[str, bytes]()
        s3.create_bucket(Bucket=bucket)
        for key in keys:
            if key.startswith("-"):
                del objects[key[1:]]
                s3.delete_object(Bucket=bucket, Key=key[1:])
            else:
                objects[key] = uuid.uuid4().bytes
                s3.put_object(Bucket=bucket, Key=key, Body=objects[key])
            files = [path for path in ministack.folder.rglob(f"{bucket}/**/*") if path.is_file()]
            contents = [path.read_bytes() for path in files if not path.name.endswith(".meta.json")]
            assert sorted(contents) == sorted(objects.values())
        for key, written in objects.items():
            assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == written


def as_role(ministack: MiniStack, when: dict[str, Any] | None = None) -> Any:
    """A client with the rights of a role that may write objects."""
    iam, name = ministack.client("iam"), f"role-{uuid.uuid4()}"
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    leave = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*", "Condition": when or {}}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="leave", PolicyDocument=json.dumps({"Statement": [leave]}))
    found = ministack.client("sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
    return ministack.client("s3", found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


def put_of_a_role(ministack: MiniStack, when: dict[str, Any] | None = None) -> Callable[[], object]:
    """A call with the rights of a role that may make it."""
    s3 = as_role(ministack, when)
    return lambda: s3.put_object(Bucket=BUCKET, Key="of-a-role", Body=b"")


@fault("shortcuts._parse_policies_once")
def a_policy_is_parsed_for_each_call(ministack: MiniStack, _folder: Path) -> bool:
    return done(ministack, put_of_a_role(ministack))["statements"] > 0


@fault("shortcuts._name_callers")
def the_callers_name_takes_its_policies(ministack: MiniStack, _folder: Path) -> bool:
    return done(ministack, put_of_a_role(ministack))["roles"] > 1


def an_update_with_a_condition(ministack: MiniStack) -> Callable[[], object]:
    """What adds to a number, and to a list within an item that a call before has told: that one stays as it was."""
    dynamodb, table = ministack.client("dynamodb"), f"table-{uuid.uuid4()}"
    dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    item = {"id": {"S": "one"}, "number": {"N": "0"}, "told": {"L": [{"M": {"a": {"BOOL": True}}}]}}
    dynamodb.put_item(TableName=table, Item=item)
    seen: list[int] = []

    def update() -> None:
        old = dynamodb.update_item(
            TableName=table,
            Key={"id": {"S": "one"}},
            UpdateExpression="SET told[1] = :one ADD #number :one",
            ConditionExpression="attribute_not_exists(revoked)",
            ExpressionAttributeNames={"#number": "number"},
            ExpressionAttributeValues={":one": {"N": "1"}},
            ReturnValues="ALL_OLD",
        )["Attributes"]
        seen.append(int(old["number"]["N"]))
        assert seen == list(range(len(seen)))
        assert len(old["told"]["L"]) == (1 if len(seen) == 1 else 2)

    return update


@fault("shortcuts._read_expressions_once")
def an_expression_is_read_for_each_call(ministack: MiniStack, _folder: Path) -> bool:
    read = done(ministack, an_update_with_a_condition(ministack))
    return read["conditions"] > 0 and read["words"] > 0


@fault("shortcuts._copy_items")
def an_item_is_copied_by_what_copies_everything(ministack: MiniStack, _folder: Path) -> bool:
    return done(ministack, an_update_with_a_condition(ministack))["copies"] > 0


@fault("shortcuts._tell_who_listens")
def an_event_that_nobody_is_told_starts_a_thread(ministack: MiniStack, _folder: Path) -> bool:
    s3, (bucket, told) = ministack.client("s3"), listened(ministack)
    begun = done(ministack, lambda: s3.put_object(Bucket=bucket, Key="picture.png", Body=b""))["threads"]
    s3.put_object(Bucket=bucket, Key="record.json", Body=b"")
    assert eventually(told) == ["record.json"]
    return begun > 0


@fault("shortcuts._know_where_files_are")
def a_files_links_are_followed_for_each_call(ministack: MiniStack, _folder: Path) -> bool:
    return done(ministack, lambda: put(ministack))["links"] > 0


@fault("shortcuts._write_files_at_once")
def a_file_is_written_through_buffers(ministack: MiniStack, _folder: Path) -> bool:
    return done(ministack, lambda: put(ministack))["buffers"] > 0


@fault("shortcuts._know_networks")
def a_networks_addresses_are_worked_out_for_each_call(ministack: MiniStack, _folder: Path) -> bool:
    inside = {"IpAddress": {"aws:SourceIp": ["127.0.0.0/8", "::1/128"]}}
    return done(ministack, put_of_a_role(ministack, inside))["networks"] > 0


@fault("shortcuts._choose_statements_once")
def a_resources_policy_is_read_for_each_call(ministack: MiniStack, _folder: Path) -> bool:
    s3, bucket = ministack.client("s3"), f"bucket-{uuid.uuid4()}"
    s3.create_bucket(Bucket=bucket)
    never = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/never"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Statement": [never]}))
    role = as_role(ministack)
    read = done(ministack, lambda: role.put_object(Bucket=bucket, Key="ever", Body=b""))["statements"]
    with pytest.raises(role.exceptions.ClientError, match="AccessDenied"):
        role.put_object(Bucket=bucket, Key="never", Body=b"")
    s3.delete_bucket_policy(Bucket=bucket)
    role.put_object(Bucket=bucket, Key="never", Body=b"")
    return read > 1  # MiniStack alone reads those of the role, too


@fault("streaming._import_transfer_mode")
def a_definition_says_nothing_of_transfer_and_time(ministack: MiniStack, _folder: Path) -> bool:
    gateway = ministack.client("apigateway")
    api = ministack.resources["Api"]
    resources = gateway.get_resources(restApiId=api)["items"]
    (found,) = [resource["id"] for resource in resources if resource["path"] == "/stream"]
    integration = gateway.get_integration(restApiId=api, resourceId=found, httpMethod="GET")
    return (integration.get("responseTransferMode"), integration.get("timeoutInMillis")) != ("STREAM", 60000)


@fault("streaming._hand_out_pieces")
def a_function_cannot_answer_in_pieces(ministack: MiniStack, _folder: Path) -> bool:
    return (ministack.invoke("Streaming") or {}).get("body") != "firsttold"


@fault("streaming._send_pieces")
def pieces_do_not_come_as_they_are_made(ministack: MiniStack, folder: Path) -> bool:
    path = f"/_aws/execute-api/{ministack.resources['Api']}/dev/stream"
    with closing(HTTPConnection("127.0.0.1", ministack.port, timeout=120)) as connection:
        connection.request("GET", f"{path}?folder={quote(str(folder))}")
        with connection.getresponse() as answer:
            first = answer.read(5)
            (folder / "go").touch()
            return first + answer.read() != b"firsttold"


@fault("role_boundaries.install")
def a_role_has_no_boundary(ministack: MiniStack, _folder: Path) -> bool:
    role = ministack.client("iam").get_role(RoleName=ministack.resources["Role"])["Role"]
    return "PermissionsBoundary" not in role


@fault("owner.install")
def what_the_owner_signs_is_refused(ministack: MiniStack, _folder: Path) -> bool:
    url = ministack.client("s3").generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "layer.zip"})
    altered = url.replace("X-Amz-Signature=", "X-Amz-Signature=0")
    assert ministack.open(altered)[0] == 403
    return ministack.open(url)[0] != 200


@fault("routes.segments")
def a_path_is_decoded_before_its_route_is_found(ministack: MiniStack, _folder: Path) -> bool:
    return ministack.call("/call/a%2Fb")[1] != b"what=a%2Fb"


@fault("state.Saver")
def what_was_done_is_lost_in_a_crash(ministack: MiniStack, folder: Path) -> bool:
    victim = stack.start(folder, mended=ministack.mended)
    try:
        victim.client("ssm").put_parameter(Name="/kept", Value="yes", Type="String")
        # The platform calls it every few seconds by itself.
        victim.open(f"{victim.url}/_platform/save", "POST")
        victim = victim.crash()
        return not victim.client("ssm").get_parameters(Names=["/kept"])["Parameters"]
    finally:
        victim.process.kill()
        victim.process.wait()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    """MiniStack as it is."""
    with stack.running(tmp_path_factory.mktemp("alone"), mended=False) as ministack:
        yield ministack


@pytest.fixture(scope="module")
def mended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    """MiniStack as the platform has it."""
    with stack.running(tmp_path_factory.mktemp("mended"), mended=True) as ministack:
        yield ministack


@pytest.mark.parametrize("change", FAULTS)
def test_ministack_alone_still_needs_the_change(alone: MiniStack, tmp_path: Path, change: str) -> None:
    assert FAULTS[change](alone, tmp_path), f"MiniStack does this itself now: remove localstack/ministack/{change}"


@pytest.mark.parametrize("change", FAULTS)
def test_the_change_mends_it(mended: MiniStack, tmp_path: Path, change: str) -> None:
    assert not FAULTS[change](mended, tmp_path), FAULTS[change].__name__.replace("_", " ")


def test_no_change_is_without_a_fault_and_the_page_tells_of_each() -> None:
    folder = Path(str(changes.__file__)).parent
    installed = {
        f"{path.stem}.{name}"
        for path in folder.glob("*.py")
        if path.stem not in ("__init__", "emulator")
        for module in [importlib.import_module(f"localstack.ministack.{path.stem}")]
        if hasattr(module, "install")
        for name in [each for each in module.install.__code__.co_names if callable(getattr(module, each, None))]
        or ["install"]
    }

    assert installed == {change for change in FAULTS if change not in ("routes.segments", "state.Saver")}
    page = (folder / "README.md").read_text()
    assert [change for change in FAULTS if f"`{change}`" not in page] == []
