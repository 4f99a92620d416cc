"""Each capability, tried: the target has it, or lacks it as `targets.py` says. Red on the day that it learns one."""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

import psutil
import pytest
import requests
from botocore.exceptions import ClientError

from tests.integration.client import Api, Platform, User, eventually
from tests.integration.stream_probe import streams
from tests.integration.targets import CAPABILITIES, Target

SMALL = {"prompt": "a cat", "size": "64x64"}
# Whoever lacks triggers is waited for this long, and no longer.
TRIGGER_SECONDS = 30.0
# Likewise logs.
LOG_SECONDS = 30.0


@dataclass(frozen=True)
class Scene:
    """What a probe may use."""

    platform: Platform
    ana: User

    def made(self) -> str:
        """The id of a picture of hers."""
        answer = self.ana.post("/image/generate", SMALL)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


def authorizers(scene: Scene) -> bool:
    """An authorizer that knows no key lets nobody through; functions that verify tokens themselves would."""
    with scene.platform.variables("AuthorizerFunction", JWKS='{"keys": []}'):
        return scene.ana.get("/users/me").status_code in (401, 403)


def bedrock(scene: Scene) -> bool:
    messages = [{"role": "user", "content": [{"text": "Hello"}]}]
    try:
        scene.platform.bedrock().converse(modelId="amazon.nova-micro-v1:0", messages=messages)
    except ClientError:
        return False
    return True


def exact_bodies(scene: Scene) -> bool:
    """A password with U+FFFD is understood, and too short."""
    body = '{"email": "ana@example.com", "password": "\ufffd"}'.encode()
    return requests.post(f"{scene.platform.api_url}/auth/register", data=body, timeout=60).status_code == 422


def head_lengths(scene: Scene) -> bool:
    url = f"{scene.platform.api_url}/healthz"
    return requests.head(url, timeout=60).headers["Content-Length"] == str(len(requests.get(url, timeout=60).content))


def gateway_responses(scene: Scene) -> bool:
    answer = requests.get(f"{scene.platform.api_url}/no/such/route", timeout=60)
    return answer.status_code == 404 and answer.headers["Content-Type"] == "application/problem+json"


def iam(scene: Scene) -> bool:
    """A function that reads pictures is sent to another service's bucket, where it would find none."""
    made = scene.made()
    with scene.platform.variables("ImageGetFunction", BUCKET=scene.platform.bucket("tts")):
        return scene.ana.get(f"/image/{made}").status_code >= 500


def launcher(scene: Scene) -> bool:
    """What `make describe` finds is our own server, and the API is its."""
    described = json.loads(scene.platform.run("localstack", "describe"))
    is_ours = "localstack.server" in psutil.Process(described["pid"]).cmdline()
    return is_ours and described["apiUrl"] == scene.platform.api_url


def logs(scene: Scene) -> bool:
    """A call that tells its id has a line that has it, too: in the group of the template, or in the function's own."""
    request = scene.ana.get("/users/me").headers["X-Request-Id"]
    aws, own = scene.platform.aws("logs"), f"/aws/lambda/{scene.platform.resource('MeFunction')}"

    def is_there() -> bool:
        named = (scene.platform.resource("MeLogs"), own)
        groups = {
            group["logGroupName"] for group in aws.get_paginator("describe_log_groups").paginate().search("logGroups[]")
        }
        return any(
            request in event["message"]
            for group in groups & set(named)
            for page in aws.get_paginator("filter_log_events").paginate(logGroupName=group)
            for event in page["events"]
        )

    return eventually(is_there, LOG_SECONDS)


def quiet_network(scene: Scene) -> bool:
    before = set(socket.if_nameindex())
    with scene.platform.variables("HealthFunction", CORS_ORIGIN="https://probe.example.com"):
        assert requests.get(f"{scene.platform.api_url}/healthz", timeout=60).status_code == 200
        return set(socket.if_nameindex()) <= before


def raw_bodies(scene: Scene) -> bool:
    answer = requests.post(f"{scene.platform.api_url}/auth/login", data=b'{"email": "\xe9"}', timeout=60)
    return answer.status_code == 400


def raw_paths(scene: Scene) -> bool:
    """A slash that is encoded parts nothing: there is no such picture."""
    return scene.ana.get(f"/image/{scene.made()}%2Fdownload").status_code == 404


def refusals(scene: Scene) -> bool:
    """The gateway by its authorizer, or the function by itself: who is refused learns it in the same words."""
    answers = [Api(scene.ana.url, token).get("/users/me") for token in (None, "nonsense")]
    return all(
        answer.status_code == 401 and answer.headers["Content-Type"] == "application/problem+json" for answer in answers
    )


def request_ids(scene: Scene) -> bool:
    first, second = (scene.ana.get("/users/me").headers["X-Request-Id"] for _ in range(2))
    return first != second


def s3_signatures(scene: Scene) -> bool:
    signed = scene.ana.get(f"/image/{scene.made()}/download").json()["url"]
    assert requests.get(signed, timeout=60).status_code == 200
    return requests.get(signed.replace("X-Amz-Signature=", "X-Amz-Signature=0"), timeout=60).status_code == 403


def streaming(scene: Scene) -> bool:
    return streams(scene.platform, scene.ana)


def triggers(scene: Scene) -> bool:
    made = scene.made()
    lines = eventually(lambda: scene.platform.lines("image", scene.ana.id), TRIGGER_SECONDS)
    return made in [line["id"] for line in lines]


def user_agents(scene: Scene) -> bool:
    """A session is told with the program that began it."""
    (session,) = scene.ana.get("/auth/sessions").json()["items"]
    return str(session["userAgent"]).startswith("python-requests/")


def _api(deployment: str) -> str:
    """A template with an API that has one route, without a function."""
    mock = {"type": "mock", "requestTemplates": {"application/json": '{"statusCode": 200}'}}
    body = {
        "openapi": "3.0.1",
        "info": {"title": "probe", "version": "1"},
        "paths": {"/": {"get": {"responses": {}, "x-amazon-apigateway-integration": mock}}},
    }
    api = {"Ref": "Api"}
    resources = {
        "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "probe", "Body": body}},
        deployment: {"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": api}},
        "Stage": {
            "Type": "AWS::ApiGateway::Stage",
            "Properties": {"RestApiId": api, "DeploymentId": {"Ref": deployment}, "StageName": "probe"},
        },
    }
    return json.dumps({"Resources": resources, "Outputs": {"Api": {"Value": api}}})


def updates(scene: Scene) -> bool:
    return _a_function_changes(scene) and _an_api_keeps_its_stage(scene)


def _a_function_changes(scene: Scene) -> bool:
    """What a deployment changes of a function is so for the next call, without a restart of anything."""
    origin = "https://probe.example.com"
    with Platform.variables(scene.platform, "MeFunction", CORS_ORIGIN=origin):
        return scene.ana.get("/users/me").headers["Access-Control-Allow-Origin"] == origin


def _an_api_keeps_its_stage(scene: Scene) -> bool:
    """An update of a stack that has a newer deployment of its API leaves the API its stage."""
    aws = scene.platform.aws("cloudformation")
    name = f"probe-{uuid4().hex[:8]}"
    aws.create_stack(StackName=name, TemplateBody=_api("First"))
    try:
        aws.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
        aws.update_stack(StackName=name, TemplateBody=_api("Second"))
        aws.get_waiter("stack_update_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
        (output,) = aws.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
        stages = scene.platform.aws("apigateway").get_stages(restApiId=output["OutputValue"])["item"]
        return [stage["stageName"] for stage in stages] == ["probe"]
    finally:
        aws.delete_stack(StackName=name)


PROBES: dict[str, Callable[[Scene], bool]] = {
    probe.__name__: probe
    for probe in (
        authorizers,
        bedrock,
        exact_bodies,
        gateway_responses,
        head_lengths,
        iam,
        launcher,
        logs,
        quiet_network,
        raw_bodies,
        raw_paths,
        refusals,
        request_ids,
        s3_signatures,
        streaming,
        triggers,
        updates,
        user_agents,
    )
}


def test_every_capability_has_a_probe() -> None:
    assert set(PROBES) == set(CAPABILITIES)


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_the_target_has_it_or_lacks_it_as_declared(
    platform: Platform, target: Target, ana: User, capability: str, record_property: Callable[[str, object], None]
) -> None:
    record_property("probed", capability)
    has = PROBES[capability](Scene(platform, ana))
    declared = capability not in target.lacks
    told = f"{target.name} {'has' if has else 'lacks'} {capability} ({CAPABILITIES[capability]})"
    assert has == declared, f"{told}: say so in tests/integration/targets.py"
