"""Whether answers leave in pieces: a function and an API of their own, for a moment, on the AWS of a platform."""

import io
import json
import socket
import zipfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from uuid import uuid4

import requests

from tests.integration.client import PATIENCE_SECONDS, Platform

FIRST = b"first"
# How long a piece that was sent may take to arrive; whoever keeps the pieces back is waited for this long.
PIECE_SECONDS = 30.0
SOURCE = f"""
import socket

def handler(event, _context):
    port = int(event["queryStringParameters"]["port"])
    return {{"statusCode": 200, "headers": {{"Content-Type": "text/plain"}}, "body": pieces(port)}}

def pieces(port):
    with socket.create_connection(("127.0.0.1", port)) as test:
        yield "{FIRST.decode()}\\n"
        test.recv(1)
"""


@contextmanager
def _deployed(platform: Platform) -> Iterator[str]:
    """The address of an API with one route that streams, while it is there."""
    name = f"probe-{uuid4().hex[:8]}"
    functions, stacks = platform.aws("lambda"), platform.aws("cloudformation")
    like = functions.get_function_configuration(FunctionName=platform.resource("MeFunction"))
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("probe.py", SOURCE)
    arn = functions.create_function(
        FunctionName=name, Runtime=like["Runtime"], Role=like["Role"], Handler="probe.handler", Timeout=60,
        Code={"ZipFile": package.getvalue()}, Layers=[layer["Arn"] for layer in like["Layers"]],
        Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/python/core/streaming-runtime"}},
    )["FunctionArn"]  # fmt: skip
    try:
        functions.get_waiter("function_active_v2").wait(FunctionName=name)
        streamed = f"arn:aws:apigateway:us-east-1:lambda:path/2021-11-15/functions/{arn}/response-streaming-invocations"
        integration = {"type": "aws_proxy", "httpMethod": "POST", "uri": streamed, "responseTransferMode": "STREAM"}
        route = {"get": {"responses": {}, "x-amazon-apigateway-integration": integration}}
        body = {"openapi": "3.0.1", "info": {"title": name, "version": "1"}, "paths": {"/stream": route}}
        resources = {
            "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": name, "Body": body}},
            "Deployment": {
                "Type": "AWS::ApiGateway::Deployment",
                "Properties": {"RestApiId": {"Ref": "Api"}, "StageName": "probe"},
            },
        }
        stacks.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}))
        try:
            stacks.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
            found = stacks.describe_stack_resource(StackName=name, LogicalResourceId="Api")["StackResourceDetail"]
            path = f"/_aws/execute-api/{found['PhysicalResourceId']}/probe/stream"
            yield f"http://localhost:{platform.aws_port}{path}"
        finally:
            stacks.delete_stack(StackName=name)
    finally:
        functions.delete_function(FunctionName=name)


def streams(platform: Platform) -> bool:
    """Whether the beginning of an answer arrives while its function waits to be told how it goes on."""
    with (
        _deployed(platform) as url,
        socket.create_server(("127.0.0.1", 0)) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        server.settimeout(0.1)
        first = pool.submit(_first_line, f"{url}?port={server.getsockname()[1]}")
        while not first.done():
            with suppress(TimeoutError):
                function, _ = server.accept()
                with function:
                    return _arrives(first)
        return False


def _first_line(url: str) -> bytes:
    with requests.get(url, stream=True, timeout=PATIENCE_SECONDS) as answer:
        return next(answer.iter_lines(chunk_size=1), b"")


def _arrives(first: "Future[bytes]") -> bool:
    try:
        return first.result(PIECE_SECONDS) == FIRST
    except TimeoutError:
        return False
