"""POST /tts/generate: turn a prompt into speech."""

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, Field

from core.errors import BadGateway, Conflict, GatewayTimeout
from core.http import OPTIONAL, Api
from generation import chain
from generation.idempotency import once
from generation.library import open_library
from generation.providers import SpeechRequest
from generation.records import Generation
from generation.requests import IdempotencyKey, Prompt, Voice, require_voice
from generation.services import SPEECH

api = Api(caller=OPTIONAL)


class SpeechGeneration(BaseModel):
    """What to say, in which language, at which pace."""

    prompt: Annotated[Prompt, Field(max_length=4096, examples=["Good morning."])]
    voice: Voice = "en"
    model: Literal["gtts", "gtts-slow"] = "gtts"


@api.post(
    "/tts/generate", operation_id="generateSpeech", status_code=201, errors=(Conflict, BadGateway, GatewayTimeout)
)
def generate(wanted: SpeechGeneration, key: IdempotencyKey = None) -> Response[Generation]:
    """201 with the generation, which a key that was sent before makes the first one.

    422 that names the choices for a voice that no provider speaks.
    """
    require_voice(wanted.voice, chain.voices(chain.speech_providers()))
    generation = once(
        lambda: speak(wanted), key, caller=api.caller_key, service=SPEECH, request=wanted, context=api.lambda_context
    )
    return Response(201, "application/json", generation, {"Location": generation["links"]["self"]})


def speak(wanted: SpeechGeneration) -> Generation:
    """New speech."""
    return open_library(SPEECH).generate(
        chain.speech_providers(),
        SpeechRequest(wanted.prompt, wanted.voice, wanted.model),
        caller=api.caller,
        prompt=wanted.prompt,
        params={"voice": wanted.voice, "model": wanted.model},
        remaining_ms=api.lambda_context.get_remaining_time_in_millis(),
    )


handler = api
