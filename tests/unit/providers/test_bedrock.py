"""Amazon Bedrock: text from recorded event streams, pictures by Nova Canvas, and what errors mean."""

import base64
import binascii
import io
import json
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from tests.fakes import media_samples

from core.errors import FieldError
from core.settings import SettingsError
from generation import aws
from generation.bedrock import BedrockImage, BedrockText
from generation.pictures import ImageRequest
from generation.providers import Deadline, PromptRefused, ProviderError, ProviderTimeout
from generation.texts import Message, Model, TextRequest, Usage

if TYPE_CHECKING:
    from mypy_boto3_bedrock_runtime import BedrockRuntimeClient

MODELS = (Model("nova", 128000, "us.amazon.nova-micro-v1:0"), Model("claude", 200000, "anthropic.claude-x"))
HELLO = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"delta": {"text": ""}, "contentBlockIndex": 0}),
    ("contentBlockDelta", {"delta": {"reasoningContent": {"text": "They greet me."}}, "contentBlockIndex": 0}),
    ("contentBlockDelta", {"delta": {"text": "\n"}, "contentBlockIndex": 1}),
    ("contentBlockDelta", {"delta": {"text": "Grüß"}, "contentBlockIndex": 1}),
    ("contentBlockDelta", {"delta": {"text": " Gott"}, "contentBlockIndex": 1}),
    ("contentBlockStop", {"contentBlockIndex": 1}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": {"inputTokens": 12, "outputTokens": 5, "totalTokens": 17}, "metrics": {"latencyMs": 300}}),
]


def message(headers: dict[str, str], payload: object) -> bytes:
    """A message as AWS frames it (vnd.amazon.eventstream)."""
    body = json.dumps(payload).encode()
    head = b"".join(
        struct.pack("B", len(name)) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", len(head) + len(body) + 16, len(head))
    framed = prelude + struct.pack(">I", binascii.crc32(prelude)) + head + body
    return framed + struct.pack(">I", binascii.crc32(framed))


def event(kind: str, payload: object) -> bytes:
    return message({":message-type": "event", ":event-type": kind, ":content-type": "application/json"}, payload)


def problem(kind: str) -> bytes:
    headers = {":message-type": "exception", ":exception-type": kind, ":content-type": "application/json"}
    return message(headers, {"message": "a secret prompt"})


class Raw:
    """A body that arrives piece by piece."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces

    def stream(self) -> Iterator[bytes]:
        yield from self._pieces

    def close(self) -> None:
        """Nothing to close."""


class Wire:
    """Answers a client's requests as the network would: what comes through is botocore's own reading of it."""

    def __init__(self, client: "BedrockRuntimeClient") -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._answers: list[tuple[int, dict[str, str], Raw]] = []
        events: Any = client.meta.events
        events.register("before-send", self._answer)

    def stream(self, frames: Iterable[bytes]) -> None:
        self._answers.append((200, {"Content-Type": "application/vnd.amazon.eventstream"}, Raw(frames)))

    def document(self, status: int, content: object, code: str = "") -> None:
        headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
        self._answers.append((status, headers, Raw([json.dumps(content).encode()])))

    def _answer(self, request: Any, **_: object) -> AWSResponse:
        self.asked.append((request.url.rpartition("/")[2], json.loads(request.body)))
        status, headers, raw = self._answers.pop(0)
        return AWSResponse(request.url, status, headers, raw)


@pytest.fixture
def client() -> "BedrockRuntimeClient":
    return boto3.client("bedrock-runtime", config=Config(retries={"total_max_attempts": 1}))


@pytest.fixture
def wire(client: "BedrockRuntimeClient") -> Wire:
    return Wire(client)


@pytest.fixture
def provider(client: "BedrockRuntimeClient") -> BedrockText:
    return BedrockText(MODELS, client)


def ask(*messages: Message, **wishes: Any) -> TextRequest:
    return TextRequest(messages or (Message("user", "Hello"),), **wishes)


def recorded(events: Sequence[tuple[str, object]]) -> list[bytes]:
    return [event(kind, payload) for kind, payload in events]


def test_an_answer_comes_in_pieces_with_its_usage(provider: BedrockText, wire: Wire) -> None:
    wire.stream(recorded(HELLO))
    stream = provider.stream(ask(), Deadline(60))
    assert list(stream) == ["\nGrüß", " Gott"]
    assert stream.usage == Usage(12, 5)
    assert (stream.model, stream.finish_reason) == ("us.amazon.nova-micro-v1:0", "stop")


def test_frames_that_are_split_over_packets_are_whole_events(provider: BedrockText, wire: Wire) -> None:
    whole = b"".join(recorded(HELLO))
    wire.stream([whole[at : at + 7] for at in range(0, len(whole), 7)])
    assert "".join(provider.stream(ask(), Deadline(60))).strip() == "Grüß Gott"


def test_a_conversation_is_put_as_converse_takes_it(provider: BedrockText, wire: Wire) -> None:
    wire.stream(recorded(HELLO))
    messages = (
        Message("system", "Be kind."),
        Message("assistant", "cut off by the context"),
        Message("user", "one"),
        Message("user", "two \ud83d"),
        Message("assistant", "  "),
        Message("assistant", "three"),
        Message("user", "four"),
    )
    list(provider.stream(ask(*messages, model="claude", max_tokens=9, temperature=0.5), Deadline(60)))
    assert wire.asked == [
        (
            "converse-stream",
            {
                "messages": [
                    {"role": "user", "content": [{"text": "one"}, {"text": "two ?"}]},
                    {"role": "assistant", "content": [{"text": "three"}]},
                    {"role": "user", "content": [{"text": "four"}]},
                ],
                "system": [{"text": "Be kind."}],
                "inferenceConfig": {"maxTokens": 9, "temperature": 0.5},
            },
        )
    ]


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded"])
def test_an_answer_that_reaches_its_limit_says_so(provider: BedrockText, wire: Wire, reason: str) -> None:
    wire.stream(recorded([*HELLO[:-2], ("messageStop", {"stopReason": reason})]))
    stream = provider.stream(ask(), Deadline(60))
    assert list(stream)
    assert (stream.finish_reason, stream.usage) == ("length", None)


@pytest.mark.parametrize("reason", ["content_filtered", "guardrail_intervened"])
def test_a_filter_refuses_the_prompt_before_the_first_piece_and_breaks_the_answer_after_it(
    provider: BedrockText, wire: Wire, reason: str
) -> None:
    stop = ("messageStop", {"stopReason": reason})
    wire.stream(recorded([HELLO[0], stop]))
    with pytest.raises(PromptRefused, match="content filter"):
        list(provider.stream(ask(), Deadline(60)))
    wire.stream(recorded([*HELLO[:6], stop]))
    pieces: list[str] = []
    with pytest.raises(ProviderError, match="content filter"):
        pieces.extend(provider.stream(ask(), Deadline(60)))
    assert pieces == ["\nGrüß", " Gott"]


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([*HELLO[:4], ("messageStop", {"stopReason": "max_tokens"})], "no text"),
        ([HELLO[0], ("messageStop", {"stopReason": "end_turn"})], "no text"),
        ([*HELLO[:6], ("messageStop", {"stopReason": "malformed_model_output"})], "the model failed"),
        (HELLO[:6], "answer broken off"),
        ([], "answer broken off"),
    ],
)
def test_an_answer_that_is_not_whole_is_a_failure(
    provider: BedrockText, wire: Wire, events: list[tuple[str, object]], reason: str
) -> None:
    wire.stream(recorded(events))
    with pytest.raises(ProviderError, match=reason):
        list(provider.stream(ask(), Deadline(60)))


@pytest.mark.parametrize(
    ("code", "expected"),
    [("ThrottlingException", ProviderError), ("ModelNotReadyException", ProviderError),
     ("AccessDeniedException", ProviderError), ("ResourceNotFoundException", ProviderError),
     ("ServiceUnavailableException", ProviderError), ("InternalServerException", ProviderError),
     ("ModelErrorException", ProviderError), ("ModelTimeoutException", ProviderTimeout),
     ("ValidationException", PromptRefused)],
)  # fmt: skip
def test_errors_are_told_apart_and_their_words_are_not_shown(
    provider: BedrockText, wire: Wire, code: str, expected: type[Exception]
) -> None:
    wire.document(400, {"message": "a secret prompt"}, code)
    with pytest.raises((ProviderError, PromptRefused)) as failure:
        provider.stream(ask(), Deadline(60))
    assert type(failure.value) is expected
    assert str(failure.value) == ("timeout" if expected is ProviderTimeout else code)
    assert len(wire.asked) == 1


@pytest.mark.parametrize(
    "words",
    ["The provided model identifier is invalid.",
     "Invocation of model ID x with on-demand throughput isn't supported. Retry with an inference profile."],
)  # fmt: skip
def test_a_model_that_is_not_there_is_the_stacks_fault(provider: BedrockText, wire: Wire, words: str) -> None:
    wire.document(400, {"message": words}, "ValidationException")
    with pytest.raises(ProviderError, match="ValidationException"):
        provider.stream(ask(), Deadline(60))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("throttlingException", ProviderError), ("modelStreamErrorException", ProviderError),
     ("validationException", PromptRefused)],
)  # fmt: skip
def test_an_error_in_the_middle_comes_after_the_pieces(
    provider: BedrockText, wire: Wire, kind: str, expected: type[Exception]
) -> None:
    wire.stream([*recorded(HELLO[:6]), problem(kind)])
    pieces: list[str] = []
    with pytest.raises(expected, match=kind[1:]):
        pieces.extend(provider.stream(ask(), Deadline(60)))
    assert pieces == ["\nGrüß", " Gott"]


def test_a_model_that_cannot_stream_answers_whole(provider: BedrockText, wire: Wire) -> None:
    wire.document(400, {"message": "The model is unsupported for streaming"}, "ValidationException")
    wire.document(200, {
        "output": {"message": {"role": "assistant", "content": [{"text": "Grüß Gott"}]}}, "stopReason": "end_turn",
        "usage": {"inputTokens": 12, "outputTokens": 5, "totalTokens": 17}, "metrics": {"latencyMs": 3},
    })  # fmt: skip
    stream = provider.stream(ask(), Deadline(60))
    assert (list(stream), stream.usage) == (["Grüß Gott"], Usage(12, 5))
    assert [operation for operation, _ in wire.asked] == ["converse-stream", "converse"]


def silent_after(frames: list[bytes], over: threading.Event) -> Iterator[bytes]:
    yield from frames
    over.wait()


@pytest.mark.parametrize(("silent", "seconds"), [(0.3, 60.0), (30.0, 0.3)])
def test_silence_and_the_deadline_end_an_answer(
    client: "BedrockRuntimeClient", wire: Wire, silent: float, seconds: float
) -> None:
    over = threading.Event()
    wire.stream(silent_after(recorded(HELLO[:6]), over))
    stream = BedrockText(MODELS, client, silent_seconds=silent).stream(ask(), Deadline(seconds))
    pieces: list[str] = []
    with pytest.raises(ProviderTimeout):
        pieces.extend(stream)
    over.set()
    assert pieces == ["\nGrüß", " Gott"]
    with pytest.raises(ProviderTimeout):
        BedrockText(MODELS, client).stream(ask(), Deadline(0))


def test_an_answer_can_be_given_up(provider: BedrockText, wire: Wire) -> None:
    over = threading.Event()
    wire.stream(silent_after(recorded(HELLO[:6]), over))
    stream = provider.stream(ask(), Deadline(60))
    assert next(stream) == "\nGrüß"
    stream.close()
    stream.close()
    assert list(stream) == []
    over.set()


def test_text_has_its_models_from_the_settings() -> None:
    environ = {
        "BEDROCK_MODELS": "n=us.amazon.nova-lite-v1:0:300000, p=arn:aws:bedrock:us-east-1:1:inference-profile/x:9"
    }
    provider = BedrockText.from_env(environ)
    assert provider.models == (
        Model("n", 300000, "us.amazon.nova-lite-v1:0"),
        Model("p", 9, "arn:aws:bedrock:us-east-1:1:inference-profile/x"),
    )
    assert provider.refuses(ask(model="q")) == FieldError("model", "Must be one of: n, p.")
    with pytest.raises(SettingsError, match="BedrockModels: model 1"):
        BedrockText.from_env({"BEDROCK_MODELS": "n=amazon.nova-lite"})


CANVAS = "amazon.nova-canvas-v1:0"


def draw(client: "BedrockRuntimeClient", document: object, *, width: int = 512, height: int = 512) -> Any:
    """A picture, and the body that was sent for it."""
    body = {
        "taskType": "TEXT_IMAGE",
        "textToImageParams": {"text": "a fox"},
        "imageGenerationConfig": {"numberOfImages": 1, "width": width, "height": height, "seed": 7},
    }
    content = json.dumps(document).encode()
    answer = {"body": StreamingBody(io.BytesIO(content), len(content)), "contentType": "application/json"}
    with Stubber(client) as stub:
        expected = {
            "modelId": CANVAS, "body": json.dumps(body), "contentType": "application/json", "accept": "application/json",
        }  # fmt: skip
        stub.add_response("invoke_model", answer, expected)
        # Its seeds end earlier than ours.
        request = ImageRequest("a fox", width, height, 858_993_460 + 7)
        return BedrockImage(CANVAS, client).generate(request, Deadline(60))


@pytest.mark.parametrize(("width", "cost"), [(512, 0.04), (1040, 0.06)])
def test_nova_canvas_draws_and_its_price_follows_the_size(
    client: "BedrockRuntimeClient", width: int, cost: float
) -> None:
    picture = media_samples.picture("PNG", width, 512, 7)
    made = draw(client, {"images": [base64.b64encode(picture).decode()]}, width=width)
    assert (made.content, made.content_type) == (picture, "image/png")
    assert (made.provider, made.model, made.cost_usd) == ("bedrock", CANVAS, cost)


@pytest.mark.parametrize(
    "document", [{}, {"images": []}, {"images": ["?"]}, {"images": ["aGVsbG8="]}, [], {"images": None}]
)
def test_what_is_no_picture_is_a_failure(client: "BedrockRuntimeClient", document: object) -> None:
    with pytest.raises(ProviderError, match="not an image"):
        draw(client, document)


def test_a_filtered_picture_is_a_refusal(client: "BedrockRuntimeClient") -> None:
    words = "All of the generated images have been blocked by our content filters."
    with pytest.raises(PromptRefused, match="content filter"):
        draw(client, {"images": [], "error": words})


@pytest.mark.parametrize(
    ("code", "expected"), [("ThrottlingException", ProviderError), ("ValidationException", PromptRefused)]
)
def test_errors_of_pictures_are_told_apart(
    client: "BedrockRuntimeClient", code: str, expected: type[Exception]
) -> None:
    provider = BedrockImage(CANVAS, client)
    with Stubber(client) as stub:
        stub.add_client_error("invoke_model", code, "a secret prompt", 400)
        with pytest.raises(expected, match=f"^{code}$"):
            provider.generate(ImageRequest("a fox", 512, 512, 7), Deadline(60))


@pytest.mark.parametrize(
    ("width", "height", "prompt", "field"),
    [(512, 512, "a", None), (320, 1280, "a", None), (2048, 2032, "a", None), (64, 512, "a", "size"),
     (520, 500, "a", "size"), (320, 1296, "a", "size"), (2048, 2048, "a", "size"), (512, 512, "a" * 1025, "prompt")],
)  # fmt: skip
def test_it_says_beforehand_what_it_cannot_draw(width: int, height: int, prompt: str, field: str | None) -> None:
    refusal = BedrockImage.from_env({}).refuses(ImageRequest(prompt, width, height, 7))
    assert (refusal and refusal.field) == field


def test_without_an_answer_at_all_another_provider_is_asked() -> None:
    assert isinstance(aws.meaning(ReadTimeoutError(endpoint_url="x")), ProviderTimeout)
    failure = aws.meaning(EndpointConnectionError(endpoint_url="x"))
    assert isinstance(failure, ProviderError)
    assert str(failure) == "AWS cannot be asked"
