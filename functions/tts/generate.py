"""POST /tts/generate: turn a prompt into speech."""

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, Field

from core.http import Api
from generation import chain
from generation.library import open_library
from generation.providers import SpeechRequest
from generation.records import Generation
from generation.requests import Prompt, require_voice
from generation.services import SPEECH

api = Api()


class SpeechGeneration(BaseModel):
    """What to say, in which language, at which pace."""

    prompt: Annotated[Prompt, Field(max_length=4096)]
    voice: str = "en"
    model: Literal["gtts", "gtts-slow"] = "gtts"


@api.post("/tts/generate")
def generate(wanted: SpeechGeneration) -> Response[Generation]:
    """201 with the generation; 422 that names the choices for a voice that no provider speaks."""
    caller = api.caller()
    providers = chain.speech_providers()
    require_voice(wanted.voice, chain.voices(providers))
    generation = open_library(SPEECH).generate(
        providers,
        SpeechRequest(wanted.prompt, wanted.voice, wanted.model),
        caller=caller,
        prompt=wanted.prompt,
        params={"voice": wanted.voice, "model": wanted.model},
        remaining_ms=api.lambda_context.get_remaining_time_in_millis(),
    )
    return Response(201, "application/json", generation, {"Location": generation["links"]["self"]})


handler = api
