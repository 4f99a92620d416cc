"""Stand-ins for what is not ours: providers, and the bad days of S3."""

import importlib
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace, UnionType
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel

from core.errors import FieldError
from core.identity import Identity
from generation.endpoints.generate import Wanted
from generation.pictures import ImageRequest
from generation.providers import Artifact, Deadline, ProviderError
from generation.services import Service
from generation.speech import SpeechRequest, lacks_voice
from generation.storage import Bucket, Stored
from generation.texts import Model, Usage
from tests.unit.generation.text_stand_ins import Stream

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PNG = b"\x89PNG\r\n\x1a\n and some pixels"
CONTENT = b"what was made"
MP3 = b"ID3\x04 and some sound"

ANA = Identity("018bcfe5-6800-7000-8000-000000000000", "ana@example.com", "user", "s-ana", 4_102_444_800)
BEN = Identity("018bcfe5-6801-7000-8000-000000000001", "ben@example.com", "user", "s-ben", 4_102_444_800)
ADMIN = Identity("018bcfe5-6802-7000-8000-000000000002", "admin@example.com", "admin", "s-admin", 4_102_444_800)


@dataclass
class Painter:
    """A provider of pictures that delivers at once, or refuses or raises what it was given."""

    name: str = "painter"
    error: Exception | None = None
    refusal: FieldError | None = None
    content_type: str = "image/png"
    asked: list[ImageRequest] = field(default_factory=list)

    def refuses(self, request: ImageRequest) -> FieldError | None:
        return self.refusal

    def generate(self, request: ImageRequest, deadline: Deadline) -> Artifact:
        self.asked.append(request)
        assert deadline.remaining() > 0
        if self.error:
            raise self.error
        return Artifact(PNG, self.content_type, self.name, "brush-1", cost_usd=0.002)


@dataclass
class Speaker:
    """A provider of speech that delivers at once, or raises what it was given."""

    name: str = "speaker"
    voices: frozenset[str] = frozenset({"en", "es"})
    error: Exception | None = None
    asked: list[SpeechRequest] = field(default_factory=list)

    def refuses(self, request: SpeechRequest) -> FieldError | None:
        return lacks_voice(request.voice, self.voices)

    def generate(self, request: SpeechRequest, deadline: Deadline) -> Artifact:
        self.asked.append(request)
        if self.error:
            raise self.error
        return Artifact(MP3, "audio/mpeg", self.name, "tongue-1", facts={"durationSeconds": 1.25})


class StandIn:
    """Any service's first provider as far as it is asked for what it knows; it delivers at once, or refuses or raises.

    ``before`` is called when it is asked, before it delivers.
    """

    name = "stand-in"

    def __init__(self, service: Service) -> None:
        self._real = service.provider(service.chain[0]).from_env({})
        self.error: Exception | None = None
        self.refusal: FieldError | None = None
        self.before: Callable[[], object] = lambda: None
        self.facts = self._facts(service)
        self.artifact = Artifact(
            CONTENT, service.content_types[0], self.name, "model-1", facts=self.facts, cost_usd=0.002
        )
        self.asked: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def refuses(self, request: Any) -> FieldError | None:
        return self.refusal

    def generate(self, request: Any, deadline: Deadline) -> Artifact:
        self.asked.append(request)
        self.before()
        assert deadline.remaining() > 0
        if self.error:
            raise self.error
        return self.artifact

    def _facts(self, service: Service) -> dict[str, Any]:
        """What the API tells of what it makes."""
        return facts_of(service)


class TextStandIn(StandIn):
    """A stand-in whose answers come as a stream, of one piece."""

    models = (Model("stand-in", 1_000_000, "model-1"),)

    def stream(self, request: Any, deadline: Deadline) -> Stream:
        text = self.generate(request, deadline).content.decode()
        return Stream(iter([text]), "model-1", Usage(self.facts["inputTokens"], self.facts["outputTokens"]))

    def _facts(self, service: Service) -> dict[str, Any]:
        tokens = {"inputTokens": 7, "outputTokens": 2, "tokensEstimated": False}
        return {"text": CONTENT.decode(), "finishReason": "stop", "contextMessages": 1, **tokens}


def stand_in(service: Service) -> StandIn:
    """A stand-in of the kind that the service's providers are."""
    streams = hasattr(service.provider(service.chain[0]), "stream")
    return TextStandIn(service) if streams else StandIn(service)


def is_generic(service: Service) -> bool:
    """Whether its generating route is the one of ``generation.endpoints``, not one of its own."""
    return issubclass(model_of(service), Wanted)


def model_of(service: Service) -> type[BaseModel]:
    """The model of the service's body."""
    handler = importlib.import_module(f"{service.name}.generate").handler
    (route,) = handler.routes.values()
    model: type[BaseModel] = next(iter(inspect.signature(route.function).parameters.values())).annotation
    return model


def facts_of(service: Service) -> dict[str, Any]:
    """What a provider tells of an artifact: all that the API shows and no request says."""
    found = {}
    for name, annotated in {**service.shown, **service.told}.items():
        kind, described = get_args(annotated)
        if name in model_of(service).model_fields or described.keywords.get("deprecated"):
            continue
        examples = [*described.keywords.get("examples", ()), *described.keywords.get("enum", ())]
        found[name] = examples[0] if examples else _some(kind)
    return found


def _some(kind: Any) -> Any:
    """A value of a type; of an optional one, not None."""
    if isinstance(kind, UnionType):
        kind = get_args(kind)[0]
    return (get_origin(kind) or kind)()


def failing_painter(reason: str = "status 503") -> Painter:
    """A provider of pictures on a bad day."""
    return Painter("bad-painter", ProviderError(reason))


class Watch:
    """Records the calls of an S3 client, and lets some of them fail as S3 would."""

    def __init__(self, client: "S3Client") -> None:
        self.client = client
        # The hooks' type does not know that an answer may be returned.
        self._events: Any = client.meta.events
        self.calls: list[tuple[str, str]] = []
        self.page_size: int | None = None
        self._faults: list[tuple[str, str, Callable[[], object]]] = []

    def __enter__(self) -> "Watch":
        self._events.register("provide-client-params.s3", self._note)
        self._events.register("before-call.s3", self._interfere)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._events.unregister("provide-client-params.s3", self._note)
        self._events.unregister("before-call.s3", self._interfere)

    def keys(self, operation: str) -> list[str]:
        """The keys that this operation was called with, in order."""
        return [key for name, key in self.calls if name == operation]

    def answer(self, operation: str, status: int, code: str, *, key: str = "", times: int = 1) -> None:
        """Let the next ``times`` calls on keys that contain ``key`` be answered with an error."""
        error = {"Error": {"Code": code, "Message": "injected"}, "ResponseMetadata": {"HTTPStatusCode": status}}
        self._faults += [(operation, key, lambda: (SimpleNamespace(status_code=status), error))] * times

    def fail(self, operation: str, error: Exception, *, key: str = "", times: int = 1) -> None:
        """Let the next ``times`` calls on keys that contain ``key`` raise."""

        def raise_error() -> object:
            raise error

        self._faults += [(operation, key, raise_error)] * times

    def interrupt(self, operation: str, act: Callable[[], object], *, key: str = "") -> None:
        """Let something happen before the next call on a key that contains ``key``."""
        self._faults.append((operation, key, lambda: act() and None))

    def _note(self, params: dict[str, Any], model: Any, **_more: object) -> None:
        self.calls.append((model.name, params.get("Key", params.get("Prefix", ""))))
        if self.page_size and model.name == "ListObjectsV2":
            params["MaxKeys"] = self.page_size

    def _interfere(self, model: Any, params: dict[str, Any], **_more: object) -> object:
        for place, (operation, key, act) in enumerate(self._faults):
            if operation == model.name and key in params["url_path"]:
                del self._faults[place]
                return act()
        return None


class AtomicBucket(Bucket):
    """A bucket of moto that reads at once, and checks and writes at once, as S3 does; moto does it in steps."""

    # Reentrant: a fault may act on the bucket in the middle of a call.
    _lock = threading.RLock()

    def get(self, key: str) -> Stored | None:
        with self._lock:
            return super().get(key)

    def replace(
        self, key: str, content: bytes, content_type: str, *, expected: str | None, metadata: Mapping[str, str]
    ) -> str:
        with self._lock:
            return super().replace(key, content, content_type, expected=expected, metadata=metadata)


@contextmanager
def environment_caches_cleared(*caches: Any) -> Iterator[None]:
    """Forget what an execution environment keeps, before and after."""
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()
