"""Amazon Bedrock, with the function's own role: text by Converse and ConverseStream, pictures by Nova Canvas."""

import base64
import binascii
import json
import re
import threading
from collections.abc import Generator, Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Self

from core.errors import FieldError
from core.settings import Setting
from generation import aws, media, models, prices
from generation.pictures import ImageRequest
from generation.providers import Artifact, Deadline, PromptRefused, ProviderError, ProviderTimeout
from generation.texts import FinishReason, Model, TextRequest, Usage

if TYPE_CHECKING:
    from mypy_boto3_bedrock_runtime import BedrockRuntimeClient

SILENT_SECONDS = 30.0
"""So long a model may write nothing."""

MODELS = Setting(
    "BedrockModels",
    "Models of Bedrock for text: alias=modelOrInferenceProfileId:contextTokens, comma list, the first is the default.",
    "nova-micro=amazon.nova-micro-v1:0:128000",
)
ARNS = Setting(
    "BedrockModelArns",
    "ARNs of the models, and of the inference profiles with the models behind them, that may be used on Bedrock; comma "
    "list, empty for none.",
    grants=("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"),
)
IMAGE_MODEL = Setting("BedrockImageModel", "Model of Bedrock for pictures, a Nova Canvas.", "amazon.nova-canvas-v1:0")
_REFUSED = frozenset({"content_filtered", "guardrail_intervened"})
_FAILED = frozenset({"malformed_model_output", "malformed_tool_use"})
_LENGTH = frozenset({"max_tokens", "model_context_window_exceeded"})


class BedrockText:
    """Asks Bedrock for text: one shape for all of its models."""

    name = "bedrock"
    settings = (MODELS, ARNS, prices.PRICES)

    def __init__(
        self,
        offered: tuple[Model, ...],
        client: "BedrockRuntimeClient | None" = None,
        *,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        self.models = offered
        self._client = client
        self._silent_seconds = silent_seconds

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """With its settings. Raises ``SettingsError`` for models that are not listed as they must be."""
        return cls(models.read(MODELS, environ))

    def refuses(self, request: TextRequest) -> FieldError | None:
        """A model that it does not offer."""
        return models.lacks(self.models, request.model)

    def stream(self, request: TextRequest, deadline: Deadline) -> "BedrockStream":
        """Begin an answer; returns when the model has accepted the request.

        Raises ``PromptRefused`` for what Bedrock finds not valid, ``ProviderError`` for everything else.
        """
        model = models.chosen(self.models, request.model)
        if not deadline.remaining():
            raise ProviderTimeout
        client: BedrockRuntimeClient = self._client or aws.client("bedrock-runtime")
        stream = BedrockStream(model.upstream, deadline, self._silent_seconds)
        stream.begin(client, _asked(model, request))
        return stream


def _asked(model: Model, request: TextRequest) -> dict[str, Any]:
    """The request as Converse takes it: turns that alternate and begin with the user's, none of them blank."""
    turns: list[dict[str, Any]] = []
    system: list[dict[str, str]] = []
    for message in request.messages:
        block = {"text": message.content.encode("utf-8", "replace").decode()}
        if not message.content.strip():
            continue
        if message.role == "system":
            system.append(block)
        elif turns and turns[-1]["role"] == message.role:
            turns[-1]["content"].append(block)
        elif turns or message.role == "user":
            turns.append({"role": message.role, "content": [block]})
    configuration = {"maxTokens": request.max_tokens, "temperature": request.temperature}
    wished = {name: value for name, value in configuration.items() if value is not None}
    asked: dict[str, Any] = {"modelId": model.upstream, "messages": turns}
    return asked | ({"system": system} if system else {}) | ({"inferenceConfig": wished} if wished else {})


class _Over:
    """The end of an answer."""


class BedrockStream:
    """An answer while it is written.

    boto3 reads in a thread of its own, so that deadline and silence end the answer whatever it does; that thread ends
    with the next event, or with boto3's own timeout.
    """

    def __init__(self, model: str, deadline: Deadline, silent_seconds: float) -> None:
        self.model = model
        self.usage: Usage | None = None
        self.finish_reason: FinishReason = "stop"
        self._deadline = deadline
        self._silent_seconds = silent_seconds
        self._arrived: SimpleQueue[Mapping[str, Any] | Exception | _Over] = SimpleQueue()
        self._left = threading.Event()
        self._pieces = self._read()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._pieces)

    def begin(self, client: "BedrockRuntimeClient", asked: Mapping[str, Any]) -> None:
        """Ask, and wait until the model has accepted. Raises as reading does."""
        threading.Thread(target=self._work, args=(client, asked), name="provider-bedrock", daemon=True).start()
        self._next()

    def close(self) -> None:
        """Give the answer up."""
        self._left.set()
        self._pieces.close()

    def _work(self, client: "BedrockRuntimeClient", asked: Mapping[str, Any]) -> None:
        try:
            for event in _events(client, asked):
                if self._left.is_set():
                    return
                self._arrived.put(event)
            self._arrived.put(_Over())
        except Exception as error:  # belongs to the thread that waits
            self._arrived.put(aws.meaning(error))

    def _next(self) -> Mapping[str, Any] | None:
        """The next event; None at the end. Raises ``ProviderTimeout`` and what the reading met."""
        try:
            arrived = self._arrived.get(timeout=min(self._silent_seconds, self._deadline.remaining()))
        except Empty:
            self._left.set()
            raise ProviderTimeout from None
        if isinstance(arrived, Exception):
            raise arrived
        return None if isinstance(arrived, _Over) else arrived

    def _read(self) -> Generator[str, None, None]:
        said = ""
        stopped: str | None = None
        while (event := self._next()) is not None:
            delta = event.get("contentBlockDelta", {}).get("delta", {})
            if piece := delta.get("text", ""):
                if not said.strip():
                    said += piece
                    piece = said if said.strip() else ""
                if piece:
                    yield piece
            stopped = event.get("messageStop", {}).get("stopReason", stopped)
            if usage := event.get("metadata", {}).get("usage"):
                self.usage = Usage(usage["inputTokens"], usage["outputTokens"])
        if stopped is None:
            raise ProviderError("answer broken off")
        if stopped in _REFUSED:
            raise ProviderError("content filter") if said.strip() else PromptRefused("content filter")
        if stopped in _FAILED or not said.strip():
            raise ProviderError("no text" if stopped not in _FAILED else "the model failed")
        if stopped in _LENGTH:
            self.finish_reason = "length"


def _events(client: "BedrockRuntimeClient", asked: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The events of an answer, behind one that says that it has begun; a model that cannot stream answers whole."""
    from botocore.exceptions import ClientError

    try:
        stream = client.converse_stream(**asked)["stream"]
    except ClientError as error:
        problem = error.response.get("Error", {})
        if problem.get("Code") != "ValidationException" or "stream" not in problem.get("Message", "").lower():
            raise
        answer = client.converse(**asked)
        yield {}
        for block in answer["output"]["message"]["content"]:
            yield {"contentBlockDelta": {"delta": block}}
        yield {"messageStop": {"stopReason": answer["stopReason"]}, "metadata": {"usage": answer["usage"]}}
        return
    try:
        yield {}
        yield from stream
    finally:
        stream.close()


# What Nova Canvas takes: https://docs.aws.amazon.com/nova/latest/userguide/image-gen-access.html
_LONGEST_PROMPT = 1024
_SMALLEST_SIDE, _LARGEST_SIDE, _STEP = 320, 4096, 16
_MOST_PIXELS = 4_194_304
_LARGEST_RATIO = 4
_SEEDS = 858_993_460
# A picture with a side beyond this one costs more.
_LARGE_SIDE = 1024
_FILTERED = re.compile(r"content filter|responsible ai|blocked", re.IGNORECASE)


class BedrockImage:
    """Asks Nova Canvas for a picture, in the sizes that it has; the caller's ``model`` is a wish that it ignores."""

    name = "bedrock"
    settings = (IMAGE_MODEL, ARNS, prices.PRICES)

    def __init__(self, model: str, client: "BedrockRuntimeClient | None" = None) -> None:
        self._model = model
        self._client = client

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """With its settings."""
        return cls(IMAGE_MODEL.read(environ))

    def refuses(self, request: ImageRequest) -> FieldError | None:
        """A prompt that is too long, and a size that it does not have."""
        if len(request.prompt) > _LONGEST_PROMPT:
            return FieldError("prompt", f"Must be at most {_LONGEST_PROMPT} characters long.")
        sides = request.width, request.height
        if any(side % _STEP or not _SMALLEST_SIDE <= side <= _LARGEST_SIDE for side in sides):
            return FieldError("size", f"Each side: {_SMALLEST_SIDE} to {_LARGEST_SIDE} and divisible by {_STEP}.")
        if max(sides) > _LARGEST_RATIO * min(sides):
            return FieldError("size", f"A side must be at most {_LARGEST_RATIO} times as long as the other.")
        if request.width * request.height >= _MOST_PIXELS:
            return FieldError("size", f"Must have fewer than {_MOST_PIXELS} pixels.")
        return None

    def generate(self, request: ImageRequest, deadline: Deadline) -> Artifact:
        """Make the picture. Raises ``PromptRefused`` when the prompt is not valid or filtered, ``ProviderError``."""
        client: BedrockRuntimeClient = self._client or aws.client("bedrock-runtime")
        body = {
            "taskType": "TEXT_IMAGE",
            "textToImageParams": {"text": request.prompt},
            "imageGenerationConfig": {
                "numberOfImages": 1,
                "width": request.width,
                "height": request.height,
                # The same seed makes the same picture; it takes fewer of them.
                "seed": request.seed % _SEEDS,
            },
        }
        try:
            answer = client.invoke_model(
                modelId=self._model, body=json.dumps(body), contentType="application/json", accept="application/json"
            )
            document = json.loads(answer["body"].read())
            if _FILTERED.search(str(document.get("error") or "")):
                raise PromptRefused("content filter")
            content = base64.b64decode(document["images"][0], validate=True)
        except (PromptRefused, ProviderError):
            raise
        except (ValueError, TypeError, LookupError, AttributeError, binascii.Error):
            raise ProviderError("not an image") from None
        except Exception as error:
            raise aws.meaning(error) from None
        image = media.image_type(content)
        if image is None:
            raise ProviderError("not an image")
        kind = "/large" if max(request.width, request.height) > _LARGE_SIDE else ""
        cost = prices.usd(self.name, self._model + kind, pictures=1)
        return Artifact(content, image.content_type, provider=self.name, model=self._model, cost_usd=cost)
