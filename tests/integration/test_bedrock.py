"""Bedrock as the emulator has it: texts in the wire's own form, and what the functions' roles allow."""

import pytest

from generation.bedrock import BedrockText
from generation.providers import Deadline
from generation.texts import Message, Model, TextRequest
from tests.integration.client import Api, Platform


@pytest.mark.needs("bedrock")
def test_the_emulators_bedrock_streams_a_text(platform: Platform) -> None:
    model = Model("nova", 128000, "us.amazon.nova-micro-v1:0")
    provider = BedrockText((model,), platform.bedrock())
    request = TextRequest((Message("system", "Be kind."), Message("user", "Hello")), max_tokens=20)
    stream = provider.stream(request, Deadline(30))
    assert len(list(stream)) > 1
    assert stream.usage is not None
    assert (stream.model, stream.finish_reason) == (model.upstream, "stop")


@pytest.mark.needs("bedrock", "iam")
def test_a_function_asks_bedrock_for_what_the_stack_lists_alone(platform: Platform, api: Api) -> None:
    with platform.variables("ImageGenerateFunction", PROVIDERS="bedrock,offline"):
        answer = api.post("/image/generate", {"prompt": "a fox", "size": "512x512"})
    assert answer.status_code == 201
    meta = answer.json()["meta"]
    assert (meta["provider"], meta["fallbackFrom"]) == ("offline", "bedrock")
    assert meta["fallbackReason"].startswith("AccessDenied")
