"""Custom resources for LocalStack, whose free edition marks them as created without calling their function."""

import importlib
import json
import uuid
from typing import Any

TYPE = "AWS::CloudFormation::CustomResource"
ANSWERS = "custom-resource-answers"


def install() -> None:
    """Have CloudFormation call the functions of `Custom::…` and `AWS::CloudFormation::CustomResource`."""
    module = importlib.import_module("localstack.services.cloudformation.resource_provider")
    executor = module.ResourceProviderExecutor
    load = executor.try_load_resource_provider

    def loaded(resource_type: str) -> Any:
        is_custom = resource_type == TYPE or str(resource_type).startswith("Custom::")
        return CustomResource(module) if is_custom else load(resource_type)

    executor.try_load_resource_provider = staticmethod(loaded)


class CustomResource:
    """Calls the function that ServiceToken names, as CloudFormation does, and takes what it puts at ResponseURL."""

    TYPE = TYPE
    SCHEMA = {  # noqa: RUF012  LocalStack reads it from the class
        "typeName": TYPE,
        "primaryIdentifier": ["/properties/PhysicalResourceId"],
        "readOnlyProperties": ["/properties/PhysicalResourceId"],
        "properties": {},
        "required": ["ServiceToken"],
    }

    def __init__(self, provider: Any) -> None:
        self._progress = provider.ProgressEvent
        self._status = provider.OperationStatus

    def create(self, request: Any) -> Any:
        """Send a Create event."""
        return self._send("Create", request, request.desired_state)

    def update(self, request: Any) -> Any:
        """Send an Update event."""
        before = request.previous_state or {}
        return self._send("Update", request, request.desired_state, PhysicalResourceId=before.get("PhysicalResourceId"),
                          OldResourceProperties=_properties(before))  # fmt: skip

    def delete(self, request: Any) -> Any:
        """Send a Delete event."""
        before = request.previous_state or request.desired_state
        return self._send("Delete", request, before, PhysicalResourceId=before.get("PhysicalResourceId"))

    def read(self, request: Any) -> Any:
        """What was answered last."""
        return self._progress(status=self._status.SUCCESS, resource_model=request.desired_state)

    def _send(self, kind: str, request: Any, properties: dict[str, Any], **more: Any) -> Any:
        s3 = _storage(request.region_name)
        s3.create_bucket(Bucket=ANSWERS)
        key = uuid.uuid4().hex
        event = more | {
            "RequestType": kind,
            "RequestId": key,
            "ResponseURL": s3.generate_presigned_url("put_object", Params={"Bucket": ANSWERS, "Key": key}),
            "StackId": request.stack_id,
            "LogicalResourceId": request.logical_resource_id,
            "ResourceType": request.resource_type,
            "ServiceToken": properties["ServiceToken"],
            "ResourceProperties": _properties(properties),
        }
        called = request.aws_client_factory.lambda_.invoke(
            FunctionName=properties["ServiceToken"], Payload=json.dumps(event)
        )
        if called.get("FunctionError"):
            return self._failed(properties, called["Payload"].read().decode(errors="replace")[:500])
        answer = json.loads(s3.get_object(Bucket=ANSWERS, Key=key)["Body"].read())
        s3.delete_object(Bucket=ANSWERS, Key=key)
        if answer["Status"] != "SUCCESS":
            return self._failed(properties, answer.get("Reason", "the function gave no reason"))
        identity = answer.get("PhysicalResourceId") or key
        model = properties | (answer.get("Data") or {}) | {"PhysicalResourceId": identity}
        return self._progress(status=self._status.SUCCESS, resource_model=model)

    def _failed(self, model: dict[str, Any], why: str) -> Any:
        return self._progress(status=self._status.FAILED, resource_model=model, message=why)


def _properties(model: dict[str, Any]) -> dict[str, str]:
    """As CloudFormation sends them: as text."""
    return {name: str(value) for name, value in model.items() if name != "PhysicalResourceId"}


def _storage(region: str) -> Any:
    """S3 at an address that functions reach."""
    config = importlib.import_module("localstack.config")
    credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    url = f"http://127.0.0.1:{config.GATEWAY_LISTEN[0].port}"
    return importlib.import_module("boto3").client("s3", endpoint_url=url, region_name=region, **credentials)
