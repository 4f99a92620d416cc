"""POST /image/generate: turn a prompt into a picture."""

import secrets
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, Field

from core.http import Api
from generation import chain
from generation.library import open_library
from generation.providers import ImageRequest
from generation.records import Generation
from generation.requests import ImageSize, ModelName, Prompt
from generation.services import IMAGE

MAX_SEED = 2**31 - 1

api = Api()


class ImageGeneration(BaseModel):
    """What picture to make."""

    prompt: Annotated[Prompt, Field(max_length=2000)]
    size: ImageSize = "1024x1024"
    seed: Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)] | None = None
    model: ModelName = "flux"


@api.post("/image/generate")
def generate(wanted: ImageGeneration) -> Response[Generation]:
    """201 with the generation. Without a seed, one is drawn and told, so that the picture can be made again."""
    caller = api.caller()
    width, height = (int(side) for side in wanted.size.split("x"))
    seed = secrets.randbelow(MAX_SEED + 1) if wanted.seed is None else wanted.seed
    generation = open_library(IMAGE).generate(
        chain.image_providers(),
        ImageRequest(wanted.prompt, width, height, seed, wanted.model),
        caller=caller,
        prompt=wanted.prompt,
        params={"size": wanted.size, "seed": seed, "model": wanted.model},
        remaining_ms=api.lambda_context.get_remaining_time_in_millis(),
    )
    return Response(201, "application/json", generation, {"Location": generation["links"]["self"]})


handler = api
