"""What providers of pictures are asked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """A picture to make: sizes in pixels, ``seed`` in 0..2³¹-1; ``model`` is a wish."""

    prompt: str
    width: int
    height: int
    seed: int
    model: str = "flux"
