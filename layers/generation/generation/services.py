"""What distinguishes one generating service from another in storage and in URLs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Service:
    """A service that generates one artifact a request.

    ``name`` is its route and its key in storage, ``artifact`` what it makes, ``filename`` the artifact's stem.
    """

    name: str
    artifact: str
    filename: str


IMAGE = Service("image", artifact="image", filename="original")
SPEECH = Service("tts", artifact="audio", filename="output")
