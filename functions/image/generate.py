"""POST /image/generate: turn a prompt into a picture."""

import secrets
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, Field

from core.errors import BadGateway, Conflict, GatewayTimeout
from core.http import OPTIONAL, Api
from generation import chain
from generation.idempotency import once
from generation.library import open_library
from generation.providers import ImageRequest
from generation.records import Generation
from generation.requests import JSON_INTEGER, IdempotencyKey, ImageSize, ModelName, Prompt
from generation.services import IMAGE

MAX_SEED = 2**31 - 1

api = Api(caller=OPTIONAL)


class ImageGeneration(BaseModel):
    """What picture to make."""

    prompt: Annotated[Prompt, Field(max_length=2000, examples=["a red fox in snow"])]
    size: ImageSize = "1024x1024"
    seed: Annotated[int, Field(strict=True, ge=0, le=MAX_SEED), JSON_INTEGER] | None = None
    model: ModelName = "flux"


@api.post(
    "/image/generate", operation_id="generateImage", status_code=201, errors=(Conflict, BadGateway, GatewayTimeout)
)
def generate(wanted: ImageGeneration, key: IdempotencyKey = None) -> Response[Generation]:
    """201 with the generation, which a key that was sent before makes the first one."""
    generation = once(
        lambda: paint(wanted), key, caller=api.caller_key, service=IMAGE, request=wanted, context=api.lambda_context
    )
    return Response(201, "application/json", generation, {"Location": generation["links"]["self"]})


def paint(wanted: ImageGeneration) -> Generation:
    """A new picture. Without a seed, one is drawn and told, so that the picture can be made again."""
    width, height = (int(side) for side in wanted.size.split("x"))
    seed = secrets.randbelow(MAX_SEED + 1) if wanted.seed is None else wanted.seed
    return open_library(IMAGE).generate(
        chain.image_providers(),
        ImageRequest(wanted.prompt, width, height, seed, wanted.model),
        caller=api.caller,
        prompt=wanted.prompt,
        params={"size": wanted.size, "seed": seed, "model": wanted.model},
        remaining_ms=api.lambda_context.get_remaining_time_in_millis(),
    )


handler = api
