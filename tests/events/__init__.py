"""Events as Lambda gets them: of three gateways, of the authorizer, of SQS, S3 and CloudFormation.

Each gateway writes the same request in its own way; `GATEWAYS` has them all, so that a test can be run with each.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote, quote_plus

from aws_lambda_powertools.utilities.typing import LambdaContext

REQUEST_ID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
METHOD_ARN = "arn:aws:execute-api:us-east-1:123456789012:abcdef1234/dev/GET/users/me"
QUEUE_ARN = "arn:aws:sqs:us-east-1:123456789012:records"

Event = dict[str, Any]
Query = Mapping[str, str | Sequence[str]]


class Gateway(Protocol):
    """Writes a request as one gateway does; ``resource`` is the route with its ``parameters`` in braces."""

    def __call__(
        self,
        method: str,
        resource: str,
        *,
        parameters: Mapping[str, str] | None = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        base64_encoded: bool = False,
        identity: Mapping[str, str | int] | None = None,
    ) -> Event:
        """The event; ``identity`` is the context that an authorizer gave."""
        ...


class Context(LambdaContext):
    """What Lambda tells a handler of its invocation."""

    def __init__(self, *, remaining_ms: int = 28_000) -> None:
        self._function_name = "function"
        self._function_version = "$LATEST"
        self._memory_limit_in_mb = 512
        self._invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
        self._aws_request_id = "52fdfc07-2182-454f-963f-5f0f9a621d72"
        self._remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]
        """Milliseconds until Lambda ends the invocation."""
        return self._remaining_ms


def aws(
    method: str,
    resource: str,
    *,
    parameters: Mapping[str, str] | None = None,
    query: Query | None = None,
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
    base64_encoded: bool = False,
    identity: Mapping[str, str | int] | None = None,
) -> Event:
    """A REST API of API Gateway: headers as sent, and the values of an authorizer as texts."""
    path = _path(resource, parameters)
    sent = {
        "Accept": "*/*",
        "Host": "abcdef1234.execute-api.us-east-1.amazonaws.com",
        "User-Agent": "curl/8.7.1",
        "X-Forwarded-For": "198.51.100.7",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
        **(headers or {}),
    }
    context: Event = {
        "resourceId": "b1q3rs",
        "resourcePath": resource,
        "operationName": None,
        "httpMethod": method,
        "extendedRequestId": "ZxYwVuTsRqPoNmL=",
        "requestTime": "22/Nov/2026:13:30:00 +0000",
        "path": f"/dev{path}",
        "accountId": "123456789012",
        "protocol": "HTTP/1.1",
        "stage": "dev",
        "domainPrefix": "abcdef1234",
        "requestTimeEpoch": 1_795_354_200_000,
        "requestId": REQUEST_ID,
        "identity": {
            "cognitoIdentityPoolId": None,
            "accountId": None,
            "caller": None,
            "sourceIp": "198.51.100.7",
            "accessKey": None,
            "userArn": None,
            "userAgent": "curl/8.7.1",
            "user": None,
        },
        "domainName": "abcdef1234.execute-api.us-east-1.amazonaws.com",
        "apiId": "abcdef1234",
    }
    if identity is not None:
        texts = {name: str(value) for name, value in identity.items()}
        context["authorizer"] = {**texts, "principalId": texts.get("sub", ""), "integrationLatency": 12}
    single, multiple = _query(query, first=False)
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": single,
        "multiValueQueryStringParameters": multiple,
        "pathParameters": dict(parameters) if parameters else None,
        "stageVariables": None,
        "requestContext": context,
        "body": body,
        "isBase64Encoded": base64_encoded,
    }


def ministack(
    method: str,
    resource: str,
    *,
    parameters: Mapping[str, str] | None = None,
    query: Query | None = None,
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
    base64_encoded: bool = False,
    identity: Mapping[str, str | int] | None = None,
) -> Event:
    """MiniStack: header names in lower case, a ``version``, the first of repeated query values."""
    path = _path(resource, parameters)
    sent = {"host": "localhost:3000", "user-agent": "curl/8.7.1", "accept": "*/*"}
    sent |= {name.lower(): value for name, value in (headers or {}).items()}
    context: Event = {
        "accountId": "000000000000",
        "resourceId": "r1",
        "stage": "local",
        "requestId": REQUEST_ID,
        "extendedRequestId": REQUEST_ID,
        "requestTime": "22/Nov/2026:13:30:00 +0000",
        "requestTimeEpoch": 1_795_354_200_000,
        "path": f"/local{path}",
        "protocol": "HTTP/1.1",
        "identity": {"sourceIp": "127.0.0.1", "userAgent": "curl/8.7.1"},
        "resourcePath": resource,
        "httpMethod": method,
        "apiId": "a1b2c3d4",
    }
    if identity is not None:
        texts = {name: str(value) for name, value in identity.items()}
        context["authorizer"] = {**texts, "principalId": texts.get("sub", "")}
    single, multiple = _query(query, first=True)
    return {
        "version": "1.0",
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": single,
        "multiValueQueryStringParameters": multiple,
        "pathParameters": dict(parameters) if parameters else None,
        "stageVariables": None,
        "requestContext": context,
        "body": body or None,
        "isBase64Encoded": base64_encoded,
    }


def sam_local(
    method: str,
    resource: str,
    *,
    parameters: Mapping[str, str] | None = None,
    query: Query | None = None,
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
    base64_encoded: bool = False,
    identity: Mapping[str, str | int] | None = None,
) -> Event:
    """``sam local start-api``: header names in Title-Case, no user agent of the caller, numbers as they are."""
    path = _path(resource, parameters)
    sent = {"Host": "127.0.0.1:3000", "User-Agent": "curl/8.7.1", "Accept": "*/*"}
    sent |= {name.title(): value for name, value in (headers or {}).items()}
    sent |= {"X-Forwarded-Proto": "http", "X-Forwarded-Port": "3000"}
    context: Event = {
        "resourceId": "123456",
        "apiId": "1234567890",
        "resourcePath": resource,
        "httpMethod": method,
        "requestId": REQUEST_ID,
        "accountId": "123456789012",
        "stage": "dev",
        "identity": {
            "apiKey": None,
            "userArn": None,
            "cognitoAuthenticationType": None,
            "caller": None,
            "userAgent": "Custom User Agent String",
            "user": None,
            "cognitoIdentityPoolId": None,
            "cognitoAuthenticationProvider": None,
            "sourceIp": "127.0.0.1",
            "accountId": None,
        },
        "extendedRequestId": None,
        "path": resource,
        "protocol": "HTTP/1.1",
        "domainName": "127.0.0.1:3000",
        "requestTimeEpoch": 1_795_354_200_000,
        "requestTime": "22/Nov/2026:13:30:00 +0000",
    }
    if identity is not None:
        context["authorizer"] = {**identity, "principalId": identity.get("sub", "")}
    single, multiple = _query(query, first=False)
    return {
        "httpMethod": method,
        "body": body or None,
        "resource": resource,
        "requestContext": context,
        "queryStringParameters": single,
        "multiValueQueryStringParameters": multiple,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "pathParameters": dict(parameters) if parameters else None,
        "stageVariables": None,
        "path": path,
        "isBase64Encoded": base64_encoded,
    }


GATEWAYS: dict[str, Gateway] = {"aws": aws, "ministack": ministack, "sam local": sam_local}


def in_base64(content: bytes) -> str:
    """A body as a gateway hands it over that was told it is binary."""
    return base64.b64encode(content).decode()


def token_authorizer(authorization: str, *, method_arn: str = METHOD_ARN) -> Event:
    """What a TOKEN authorizer is asked; the header comes whole, whatever the gateway."""
    return {"type": "TOKEN", "authorizationToken": authorization, "methodArn": method_arn}


def sqs(*bodies: str) -> Event:
    """A batch of messages, ``message-0`` and so on."""
    return {
        "Records": [
            {
                "messageId": f"message-{place}",
                "receiptHandle": f"handle-{place}",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1795354200000",
                    "SenderId": "AIDAJXNJGGKNS7OSV23OI",
                    "ApproximateFirstReceiveTimestamp": "1795354200001",
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": QUEUE_ARN,
                "awsRegion": "us-east-1",
            }
            for place, body in enumerate(bodies)
        ]
    }


def s3_notification(bucket: str, *keys: str, encode: bool = True) -> str:
    """The body of a message that tells of new objects; AWS encodes their keys like form fields, slashes kept."""
    return json.dumps(
        {
            "Records": [
                {
                    "eventVersion": "2.1",
                    "eventSource": "aws:s3",
                    "awsRegion": "us-east-1",
                    "eventTime": "2026-11-22T13:30:00.123Z",
                    "eventName": "ObjectCreated:Put",
                    "userIdentity": {"principalId": "AWS:AROAEXAMPLE"},
                    "requestParameters": {"sourceIPAddress": "198.51.100.7"},
                    "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
                    "s3": {
                        "s3SchemaVersion": "1.0",
                        "configurationId": "records",
                        "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                        "object": {
                            "key": quote_plus(key, safe="/") if encode else key,
                            "size": 512,
                            "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                            "sequencer": "0A1B2C3D4E5F678901",
                        },
                    },
                }
                for key in keys
            ]
        }
    )


def s3_test_event(bucket: str) -> str:
    """The body of the message that S3 sends when a notification is set up."""
    return json.dumps(
        {
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": "2026-11-22T13:30:00.123Z",
            "Bucket": bucket,
            "RequestId": "5582815E1AEA5ADF",
            "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE",
        }
    )


def custom_resource(
    request_type: str,
    response_url: str,
    *,
    properties: Mapping[str, str] | None = None,
    old_properties: Mapping[str, str] | None = None,
    physical_id: str | None = None,
) -> Event:
    """What CloudFormation asks of a custom resource; it writes every property as a text."""
    event: Event = {
        "RequestType": request_type,
        "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:resource",
        "ResponseURL": response_url,
        "StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/platform/guid",
        "RequestId": "unique-id-of-this-request",
        "LogicalResourceId": "Resource",
        "ResourceType": "Custom::Resource",
        "ResourceProperties": {"ServiceToken": "arn", **(properties or {})},
    }
    if old_properties is not None:
        event["OldResourceProperties"] = {"ServiceToken": "arn", **old_properties}
    if physical_id is not None:
        event["PhysicalResourceId"] = physical_id
    return event


def _path(resource: str, parameters: Mapping[str, str] | None) -> str:
    for name, value in (parameters or {}).items():
        resource = resource.replace(f"{{{name}}}", quote(value, safe=""))
    return resource


def _query(query: Query | None, *, first: bool) -> tuple[dict[str, str] | None, dict[str, list[str]] | None]:
    if not query:
        return None, None
    multiple = {name: [value] if isinstance(value, str) else list(value) for name, value in query.items()}
    return {name: values[0 if first else -1] for name, values in multiple.items()}, multiple
