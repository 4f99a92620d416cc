"""POST /image/generate: turn a prompt into a picture."""

import re
import secrets
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from core.description import Described
from generation.endpoints.generate import Order, Wanted, generate
from generation.pictures import ImageRequest
from generation.requests import JSON_INTEGER, ModelName, Prompt
from image.service import SERVICE

MAX_SEED = 2**31 - 1
SMALLEST_SIDE = 64
LARGEST_SIDE = 2048
_SIZE = re.compile(r"([1-9]\d{1,3})x([1-9]\d{1,3})", re.ASCII)


def _image_size(size: object) -> object:
    match = _SIZE.fullmatch(size) if isinstance(size, str) else None
    if match is None or not all(SMALLEST_SIDE <= int(side) <= LARGEST_SIDE for side in match.groups()):
        raise ValueError(f"Must be WIDTHxHEIGHT in pixels, each {SMALLEST_SIDE} to {LARGEST_SIDE}, such as 1024x1024.")
    return size


# 64 to 2048.
_SIDE = "(6[4-9]|[7-9][0-9]|[1-9][0-9]{2}|1[0-9]{3}|20[0-3][0-9]|204[0-8])"
ImageSize = Annotated[
    str,
    # Before the type is looked at, so that what is no text at all is told the form, too.
    BeforeValidator(_image_size),
    Described("Width and height in pixels, each 64 to 2048.", pattern=f"^{_SIDE}x{_SIDE}$", examples=["512x512"]),
]


class ImageGeneration(Wanted):
    """What picture to make."""

    prompt: Annotated[Prompt, Field(max_length=2000, examples=["a red fox in snow"])]
    size: ImageSize = "1024x1024"
    seed: Annotated[int, Field(strict=True, ge=0, le=MAX_SEED), JSON_INTEGER] | None = None
    model: ModelName = "flux"

    def order(self, providers: Sequence[Any]) -> Order:
        """Without a seed, one is drawn and told, so that the picture can be made again."""
        width, height = (int(side) for side in self.size.split("x"))
        seed = secrets.randbelow(MAX_SEED + 1) if self.seed is None else self.seed
        request = ImageRequest(self.prompt, width, height, seed, self.model)
        return Order(request, self.prompt, {"size": self.size, "seed": seed, "model": self.model})


handler = generate(SERVICE, ImageGeneration)
