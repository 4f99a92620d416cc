"""A generating service as its clients see it: its functions, and the requests that its descriptor tells of."""

import importlib
import importlib.util
import json
import re
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from core import ids
from core.identity import Identity
from generation.services import Service
from tests import events, tokens
from tests.events import Gateway, Query
from tests.unit.functions.answers import Answer, ask
from tests.unit.stand_ins import StandIn, model_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"
# A conversation that an answer belongs to is kept beside the generations, and outlives them.
_SESSION = re.compile(r"users/[^/]+/[a-z]+/sessions/")


def stored(s3: "S3Client", bucket: str) -> dict[str, bytes]:
    """All objects of generations and their histories."""
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys if not _SESSION.match(key)}


def bearer(caller: Identity | None) -> dict[str, str]:
    """The header of a caller who has logged in."""
    if caller is None:
        return {}
    token = tokens.access_token(sub=caller.sub, email=caller.email, role=caller.role, sid=caller.sid)
    return {"Authorization": f"Bearer {token}"}


class Calls:
    """The calls of one service, and the provider that serves it. Each sends the caller's token, where there is one."""

    def __init__(self, service: Service, provider: StandIn) -> None:
        self.service = service
        self.provider = provider
        self.path = f"/{service.name}"
        self.listing = f"/admin/{service.plural}"
        # What it is that a request asks for comes first in the sample.
        self.text = next(iter(service.sample))
        # Method, function and route of every call.
        self.routes = {
            "generate": ("POST", f"{self.path}/generate"),
            "get": ("GET", f"{self.path}/{{id}}"),
            "download": ("GET", f"{self.path}/{{id}}/download"),
            "delete": ("DELETE", f"{self.path}/{{id}}"),
            "list": ("GET", self.listing),
        }

    def function(self, name: str) -> ModuleType:
        return importlib.import_module(f"{self.service.name}.{name}")

    def elsewhere(self, name: str) -> ModuleType:
        """The function in a second execution environment, which has a request of its own at the same time."""
        source = self.function(name).__file__
        assert source
        spec = importlib.util.spec_from_file_location(f"another.{self.service.name}.{name}", source)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def body(self, text: str | None = None, **changes: Any) -> dict[str, Any]:
        """The sample, with another text and other changes."""
        return {**self.service.sample, **({} if text is None else {self.text: text}), **changes}

    @property
    def decided(self) -> dict[str, Any]:
        """The sample with the defaults of what it leaves open; not what is then unknown."""
        known = model_of(self.service).model_validate(self.service.sample)
        return known.model_dump(by_alias=True, exclude_none=True)

    @property
    def longest(self) -> int:
        """How many characters a text may have."""
        return int(model_of(self.service).model_json_schema()["properties"][self.text]["maxLength"])

    def ask(
        self,
        name: str,
        record_id: str | None = None,
        *,
        gateway: Gateway = events.aws,
        caller: Identity | None = None,
        identity: Identity | None = None,
        headers: Mapping[str, str] | None = None,
        query: Query | None = None,
        body: str | None = None,
        base64_encoded: bool = False,
        function: ModuleType | None = None,
    ) -> Answer:
        """The answer of one function; ``identity`` is what the gateway's authorizer has found."""
        method, resource = self.routes[name]
        event = gateway(
            method,
            resource,
            parameters={"id": record_id} if record_id is not None else None,
            query=query,
            headers={**bearer(caller), **(headers or {})},
            body=body,
            base64_encoded=base64_encoded,
            identity=identity.context() if identity else None,
        )
        return ask(function or self.function(name), event)

    def post(self, body: Any = None, *, key: str | None = None, **options: Any) -> Answer:
        """The answer to a body, unless given the sample, with an idempotency key."""
        wanted = self.body() if body is None else body
        text = wanted if isinstance(wanted, str) else json.dumps(wanted)
        headers = options.pop("headers", {}) | ({} if key is None else {"Idempotency-Key": key})
        return self.ask("generate", body=text, headers=headers, **options)

    def made(self, caller: Identity | None, **options: Any) -> Any:
        """A generation of somebody's."""
        answer = self.post(caller=caller, **options)
        assert answer.status == 201, answer.body
        return answer.json

    def listed(self, caller: Identity) -> list[str]:
        """The ids in somebody's history."""
        return [item["id"] for item in self.ask("list", caller=caller).json["items"]]

    def indexed(self, bucket: str, *keys: str) -> list[str]:
        """The messages that failed of those that tell of these records."""
        batch = events.sqs(*(events.s3_notification(bucket, key) for key in keys))
        answer = self.function("index").handler(batch, events.Context())
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def of(self, record_id: str) -> str:
        """The folder of a generation."""
        return f"requests/{ids.created_at(record_id):%Y/%m/%d}/{record_id}"
