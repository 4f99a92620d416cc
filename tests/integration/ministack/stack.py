"""MiniStack with a stack in which all shows that the platform changes in it."""

import base64
import contextlib
import io
import json
import os
import subprocess
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from localstack import environments, settings
from localstack.ministack import emulator

from tests.integration.client import PATIENCE_SECONDS, eventually, free_ports

ROOT = Path(__file__).resolve().parents[3]
BUCKET = "archives"
STARTING_AT_ONCE = (os.cpu_count() or 1) + 1


def archive(**files: str) -> bytes:
    """A zip archive; `__` in a name stands for a slash."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as output:
        for name, text in files.items():
            output.writestr(f"{name.replace('__', '/')}.py", text)
    return content.getvalue()


def integration(function: str, way: str = "invocations", **more: Any) -> dict[str, Any]:
    """An operation that calls a function."""
    uri = f"arn:aws:apigateway:${{AWS::Region}}:lambda:path/2015-03-31/functions/${{{function}.Arn}}/{way}"
    return {
        "x-amazon-apigateway-integration": {"type": "aws_proxy", "httpMethod": "POST", "uri": {"Fn::Sub": uri}, **more}
    }


def body() -> dict[str, Any]:
    """The API's definition."""
    protected = {**integration("Function"), "security": [{"Token": []}]}
    mock = {
        "type": "mock",
        "requestTemplates": {"application/json": '{"statusCode": 200}'},
        "responses": {
            "default": {"statusCode": "200", "responseParameters": {"method.response.header.X-Mock": "'yes'"}}
        },
    }
    return {
        "openapi": "3.0.1",
        "info": {"title": "faults", "version": "1"},
        "paths": {
            "/call/{what}": {"get": integration("Function"), "post": integration("Function")},
            "/call/{what}/{more}": {"get": integration("Function")},
            "/quick/{what}": {"get": integration("Function", timeoutInMillis=1000)},
            "/protected": {"get": protected},
            "/mock": {"options": {"x-amazon-apigateway-integration": mock}},
            "/stream": {
                "get": integration(
                    "Streaming", "response-streaming-invocations", responseTransferMode="STREAM", timeoutInMillis=60000
                )
            },
        },
        "components": {
            "securitySchemes": {
                "Token": {
                    "type": "apiKey",
                    "name": "Authorization",
                    "in": "header",
                    "x-amazon-apigateway-authtype": "custom",
                    "x-amazon-apigateway-authorizer": {
                        "type": "token",
                        "authorizerResultTtlInSeconds": 0,
                        "authorizerUri": integration("Function")["x-amazon-apigateway-integration"]["uri"],
                    },
                }
            }
        },
        "x-amazon-apigateway-gateway-responses": {
            "MISSING_AUTHENTICATION_TOKEN": {
                "statusCode": 404,
                "responseTemplates": {"application/json": '{"kind":"no-route"}'},
            }
        },
    }


def function(handler: str, variables: dict[str, str], seconds: int = 60) -> dict[str, Any]:
    """A function of the stack."""
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": settings.python_runtime(),
            "Handler": f"function.{handler}",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Timeout": seconds,
            "Code": {"S3Bucket": BUCKET, "S3Key": "function.zip"},
            "Layers": [{"Ref": "Layer"}],
            "Environment": {"Variables": variables},
        },
    }


def permission(name: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::Permission",
        "Properties": {
            "Action": "lambda:InvokeFunction",
            "FunctionName": {"Ref": name},
            "Principal": "apigateway.amazonaws.com",
        },
    }


def template(meeting: Path, seconds: float) -> dict[str, Any]:
    """The stack; `seconds` is how long environments that start wait for each other."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    nothing = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
    meet = {"MEETING": str(meeting), "EXPECTED": str(STARTING_AT_ONCE), "SECONDS": str(seconds)}
    return {
        "Resources": {
            "Boundary": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": nothing}},
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {"AssumeRolePolicyDocument": trust, "PermissionsBoundary": {"Ref": "Boundary"}},
            },
            "Layer": {
                "Type": "AWS::Lambda::LayerVersion",
                "Properties": {"Content": {"S3Bucket": BUCKET, "S3Key": "layer.zip"}},
            },
            "Function": function("handler", {}),
            "Busy": function("handler", {}),
            "Meeting": function("handler", meet),
            "Forking": function("handler", {}),
            "Muttering": function("handler", {}),
            "Hurried": function("handler", {}, seconds=1),
            "Noisy": function("handler", {"NOISY": "yes"}),
            "Streaming": function("stream", {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/streaming-runtime"}),
            "Queue": {"Type": "AWS::SQS::Queue"},
            "Mapping": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
                    "FunctionName": {"Ref": "Function"},
                    "BatchSize": 20,
                    "MaximumBatchingWindowInSeconds": 1,
                    "Enabled": False,
                },
            },
            "FunctionPermission": permission("Function"),
            "StreamingPermission": permission("Streaming"),
            "Api": {
                "Type": "AWS::ApiGateway::RestApi",
                "Properties": {"Body": body(), "MinimumCompressionSize": 4},
            },
            "Denied": {
                "Type": "AWS::ApiGateway::GatewayResponse",
                "Properties": {
                    "RestApiId": {"Ref": "Api"},
                    "ResponseType": "ACCESS_DENIED",
                    "StatusCode": "401",
                    "ResponseTemplates": {"application/json": '{"reason":"$context.authorizer.reason"}'},
                },
            },
            "Deployment": {
                "Type": "AWS::ApiGateway::Deployment",
                "DependsOn": "Denied",
                "Properties": {"RestApiId": {"Ref": "Api"}},
            },
            "Stage": {
                "Type": "AWS::ApiGateway::Stage",
                "Properties": {
                    "RestApiId": {"Ref": "Api"},
                    "DeploymentId": {"Ref": "Deployment"},
                    "StageName": "dev",
                },
            },
        }
    }


@dataclass
class MiniStack:
    """A MiniStack that runs, and the resources of its stack."""

    folder: Path
    port: int
    mended: bool
    process: subprocess.Popen[bytes]
    resources: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(
        self, service: str, key: str = settings.ACCESS_KEY, secret: str = settings.SECRET_KEY, token: str | None = None
    ) -> Any:
        """A client with the owner's key, or another one."""
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.url,
            region_name=settings.REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=boto3.session.Config(signature_version="s3v4" if service == "s3" else None, proxies={}),
        )

    def call(self, path: str, method: str = "GET", data: bytes | None = None, **headers: str) -> tuple[int, bytes, Any]:
        """Call the stack's API: status, body, headers."""
        return self.open(f"{self.url}/_aws/execute-api/{self.resources['Api']}/dev{path}", method, data, **headers)

    @staticmethod
    def open(url: str, method: str = "GET", data: bytes | None = None, **headers: str) -> tuple[int, bytes, Any]:
        """Call an address; an error status is an answer too."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
        try:
            with opener.open(request, timeout=PATIENCE_SECONDS) as response:
                return response.status, response.read(), response.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    def invoke(self, name: str, **event: Any) -> Any:
        """Call a function; what it answers, or None when it fails."""
        answer = self.client("lambda").invoke(FunctionName=self.resources[name], Payload=json.dumps(event).encode())
        content = json.loads(answer["Payload"].read())
        return None if "FunctionError" in answer else content

    def log_of(self, name: str, **event: Any) -> str:
        """Call a function; the end of its log."""
        functions = self.client("lambda")
        payload = json.dumps(event).encode()
        answer = functions.invoke(FunctionName=self.resources[name], Payload=payload, LogType="Tail")
        return base64.b64decode(answer.get("LogResult", "")).decode()

    def deploy(self, name: str, content: dict[str, Any]) -> dict[str, str]:
        """Create or change a stack; the physical ids of its resources."""
        formation = self.client("cloudformation")
        try:
            formation.describe_stacks(StackName=name)
        except formation.exceptions.ClientError:
            change, waiter = formation.create_stack, "stack_create_complete"
        else:
            change, waiter = formation.update_stack, "stack_update_complete"
        change(StackName=name, TemplateBody=json.dumps(content), Capabilities=["CAPABILITY_IAM"])
        formation.get_waiter(waiter).wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
        found = formation.describe_stack_resources(StackName=name)["StackResources"]
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}

    def crash(self) -> "MiniStack":
        """Kill it, and start it again on what it left."""
        self.process.kill()
        self.process.wait()
        return start(self.folder, mended=self.mended)


def start(folder: Path, *, mended: bool) -> MiniStack:
    """Start MiniStack on a free port and wait until it answers."""
    (port,) = free_ports(1)
    config = settings.Settings(folder, port + 1, port, template=Path())
    for name in (config.run / "tmp", config.state / "aws", config.state / "s3"):
        name.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [
            *(str(environments.platform().python), "-m", "tests.integration.ministack.server"),
            *("--port", str(port), "--folder", str(folder), *(["--mended"] if mended else [])),
        ],
        cwd=ROOT,
        env=emulator.environment(config, os.environ) | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
    )
    found = MiniStack(folder, port, mended, process, {})
    assert eventually(answers(found)), "MiniStack does not answer"
    return found


def answers(ministack: MiniStack) -> Callable[[], bool]:
    def probe() -> bool:
        assert ministack.process.poll() is None, "MiniStack has ended"
        try:
            return ministack.open(f"{ministack.url}/_ministack/health")[0] == 200
        except OSError:
            return False

    return probe


@contextlib.contextmanager
def running(folder: Path, *, mended: bool) -> Iterator[MiniStack]:
    """MiniStack with the stack, while it runs."""
    ministack = start(folder, mended=mended)
    try:
        s3 = ministack.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        source = (Path(__file__).parent / "function.py").read_text()
        s3.put_object(Bucket=BUCKET, Key="function.zip", Body=archive(function=source, shared="WHO = 'function'"))
        s3.put_object(Bucket=BUCKET, Key="layer.zip", Body=archive(python__shared="WHO = 'layer'"))
        meeting = folder / "meeting"
        meeting.mkdir()
        ministack.resources = ministack.deploy("faults", template(meeting, 1 if mended else 30))
        yield ministack
    finally:
        ministack.process.terminate()
        ministack.process.wait(timeout=60)
