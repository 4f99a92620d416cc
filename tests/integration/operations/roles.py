"""The roles of the stack's functions, and calls that tell what a role may do without changing anything."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

REGION = "us-east-1"
STACK = "llm-microservices"
DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
NEVER = '"0"'  # an ETag that no object has


@dataclass(frozen=True)
class Attempt:
    """A call, and the error that it ends with where it is allowed: at a condition that does not hold, before it changes
    anything; none when it only reads, or writes what nobody reads.
    """

    name: str
    service: str
    operation: str
    arguments: Mapping[str, Any]
    error: str = ""


@dataclass(frozen=True)
class Stack:
    """The deployed stack: its resources of each type, logical ids with physical ones, and the address of its AWS."""

    url: str
    resources: Mapping[str, Mapping[str, str]]
    objects: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def deployed(cls, aws_port: int) -> "Stack":
        """The stack of a platform."""
        url = f"http://localhost:{aws_port}"
        pages = Caller(url).client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
        resources: dict[str, dict[str, str]] = {}
        for one in (one for page in pages for one in page["StackResourceSummaries"]):
            resources.setdefault(one["ResourceType"], {})[one["LogicalResourceId"]] = one["PhysicalResourceId"]
        return cls(url, resources)

    def attempts(self) -> Iterator[Attempt]:
        """Every call on every resource of the stack that holds something."""
        for bucket, name in self.resources["AWS::S3::Bucket"].items():
            yield from self._bucket(bucket, name)
        secrets = self.resources["AWS::SecretsManager::Secret"] | {"DatabaseSecret": f"{STACK}/database"}
        for secret, name in secrets.items():
            yield from _secret(secret, name)
        for queue, url in self.resources["AWS::SQS::Queue"].items():
            yield from _queue(queue, url)
        for table, name in self.resources["AWS::DynamoDB::Table"].items():
            yield from _table(table, name)
        for parameter, name in self.resources["AWS::SSM::Parameter"].items():
            yield Attempt(f"{parameter} GetParameter", "ssm", "get_parameter", {"Name": name})
            kept = {"Name": name, "Value": "{}", "Type": "String", "Overwrite": False}
            yield Attempt(f"{parameter} PutParameter", "ssm", "put_parameter", kept, "ParameterAlreadyExists")
        for function in ("SigningKeyFunction", "ReindexFunction", "RegisterFunction"):
            yield from _function(function, self.resources["AWS::Lambda::Function"][function])
        yield from self._account()

    def _bucket(self, bucket: str, name: str) -> Iterator[Attempt]:
        for kind, key in self.objects[bucket].items():
            where = {"Bucket": name, "Key": key}
            yield Attempt(f"{bucket} GetObject {kind}", "s3", "get_object", where)
            for operation, method, condition in (
                ("PutObject", "put_object", {"IfNoneMatch": "*"}),
                ("DeleteObject", "delete_object", {"IfMatch": NEVER}),
            ):
                yield Attempt(f"{bucket} {operation} {kind}", "s3", method, where | condition, "PreconditionFailed")
        for kind in ("record", "history"):
            prefix = {"Bucket": name, "Prefix": self.objects[bucket][kind].rpartition("/")[0] + "/"}
            yield Attempt(f"{bucket} ListBucket {kind}", "s3", "list_objects_v2", prefix)
        yield Attempt(f"{bucket} GetBucketPolicy", "s3", "get_bucket_policy", {"Bucket": name})

    def _account(self) -> Iterator[Attempt]:
        """What nobody needs: other roles, the stack, logs."""
        role = self.resources["AWS::IAM::Role"]["RegisterFunctionRole"]
        arn = f"arn:aws:iam::000000000000:role/{role}"
        policy = {"RoleName": role, "PolicyName": "more", "PolicyDocument": "{"}
        logs = self.resources["AWS::Logs::LogGroup"]["RegisterLogs"]
        yield Attempt("AssumeRole", "sts", "assume_role", {"RoleArn": arn, "RoleSessionName": "privileges"})
        yield Attempt("PutRolePolicy", "iam", "put_role_policy", policy, "MalformedPolicyDocument")
        yield Attempt("DescribeStacks", "cloudformation", "describe_stacks", {"StackName": STACK})
        elsewhere = {"logGroupName": "/aws/lambda/another", "logStreamName": "privileges"}
        yield Attempt("CreateLogStream elsewhere", "logs", "create_log_stream", elsewhere, "ResourceNotFoundException")
        yield Attempt("FilterLogEvents", "logs", "filter_log_events", {"logGroupName": logs, "limit": 1})


def _secret(secret: str, name: str) -> Iterator[Attempt]:
    # A version under a label that nobody reads.
    value = {"SecretString": "nothing", "VersionStages": ["PRIVILEGES"], "ClientRequestToken": "privileges" * 4}
    moved = {"VersionStage": "PRIVILEGES", "MoveToVersionId": "0" * 32}
    for operation, method, arguments, error in (
        ("GetSecretValue", "get_secret_value", {}, ""),
        ("DescribeSecret", "describe_secret", {}, ""),
        ("PutSecretValue", "put_secret_value", value, ""),
        ("UpdateSecretVersionStage", "update_secret_version_stage", moved, "ResourceNotFoundException"),
    ):
        yield Attempt(f"{secret} {operation}", "secretsmanager", method, {"SecretId": name} | arguments, error)


def _queue(queue: str, url: str) -> Iterator[Attempt]:
    for operation, method, arguments, error in (
        ("GetQueueAttributes", "get_queue_attributes", {"AttributeNames": ["QueueArn"]}, ""),
        ("SendMessage", "send_message", {"MessageBody": "\x01"}, "InvalidMessageContents"),
        ("ReceiveMessage", "receive_message", {"MaxNumberOfMessages": 11}, "InvalidParameterValue"),
        ("DeleteMessage", "delete_message", {"ReceiptHandle": "none"}, "ReceiptHandleIsInvalid"),
    ):
        yield Attempt(f"{queue} {operation}", "sqs", method, {"QueueUrl": url} | arguments, error)


# The names of the keys of tables whose items have two, and an index.
KEYS = {"ChatTable": ("user_id", "id", "used"), "UsageTable": ("pk", "sk", "ByPeriod")}
# The key of the index, where it is not the table's.
INDEXED = {"ByPeriod": "period"}


def _table(table: str, name: str) -> Iterator[Attempt]:
    keys = KEYS.get(table, ("id",))
    item = {key: {"S": "nobody#privileges"} for key in keys[:2]}  # an item that no table has
    value = {":value": {"S": "nothing"}}
    there = {"ConditionExpression": f"attribute_exists({keys[0]})"}
    update = {"UpdateExpression": "SET nothing = :value", "ExpressionAttributeValues": value}
    query = {"KeyConditionExpression": f"{keys[0]} = :value", "ExpressionAttributeValues": value}
    for operation, method, arguments in (
        ("GetItem", "get_item", {"Key": item}),
        ("PutItem", "put_item", {"Item": item} | there),
        ("UpdateItem", "update_item", {"Key": item} | update | there),
        ("DeleteItem", "delete_item", {"Key": item} | there),
        ("Query", "query", query),
        ("Scan", "scan", {"Limit": 1}),
    ):
        error = "ConditionalCheckFailedException" if "ConditionExpression" in arguments else ""
        yield Attempt(f"{table} {operation}", "dynamodb", method, {"TableName": name} | arguments, error)
    yield Attempt(f"{table} BatchGetItem", "dynamodb", "batch_get_item", {"RequestItems": {name: {"Keys": [item]}}})
    check = {"TransactItems": [{"ConditionCheck": {"TableName": name, "Key": item} | there}]}
    error = "TransactionCanceledException"
    yield Attempt(f"{table} ConditionCheckItem", "dynamodb", "transact_write_items", check, error)
    for index in keys[2:]:
        indexed = query | {"KeyConditionExpression": f"{INDEXED.get(index, keys[0])} = :value", "IndexName": index}
        yield Attempt(f"{table} Query {index}", "dynamodb", "query", {"TableName": name} | indexed)


def _function(function: str, name: str) -> Iterator[Attempt]:
    yield Attempt(f"{function} Invoke", "lambda", "invoke", {"FunctionName": name, "InvocationType": "DryRun"})
    code = {"FunctionName": name, "ZipFile": b"not an archive", "DryRun": True}
    error = "InvalidParameterValueException"
    yield Attempt(f"{function} UpdateFunctionCode", "lambda", "update_function_code", code, error)


class Caller:
    """Calls AWS as its owner, or as a role. The clients stay when the role changes: making them takes the most time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = boto3.Session("test", "test", region_name=REGION)
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The client of a service, made once."""
        if service not in self._clients:
            config = Config(retries={"total_max_attempts": 1}, proxies={})
            self._clients[service] = self._session.client(service, endpoint_url=self._url, config=config)
        return self._clients[service]

    def become(self, credentials: Mapping[str, str]) -> None:
        """From now on, act as the role that these credentials are of."""
        current = self._session.get_credentials()
        current.access_key, current.secret_key = credentials["AccessKeyId"], credentials["SecretAccessKey"]
        current.token = credentials["SessionToken"]

    def error(self, attempt: Attempt) -> str:
        """The code of the error that the call ends with, or nothing."""
        try:
            getattr(self.client(attempt.service), attempt.operation)(**attempt.arguments)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return ""

    def may(self, attempt: Attempt) -> bool:
        """Whether the call is allowed, whatever else it fails with."""
        return self.error(attempt) not in DENIED


def credentials(stack: Stack) -> dict[str, Mapping[str, str]]:
    """Credentials of each function's own role, as Lambda gives them to it; read from the functions, not the template."""
    owner = Caller(stack.url)
    return {
        function: owner.client("sts").assume_role(
            RoleArn=owner.client("lambda").get_function_configuration(FunctionName=name)["Role"],
            RoleSessionName=function,
        )["Credentials"]
        for function, name in stack.resources["AWS::Lambda::Function"].items()
    }
