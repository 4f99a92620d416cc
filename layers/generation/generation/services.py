"""What distinguishes one generating service from another: its descriptor, in ``functions/<name>/service.py``.

All else follows from it: routes, storage, records, the description, the template, the operators' commands, the tests.
"""

import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from core import areas
from core.areas import Area

# Endings of artifacts and their media types.
CONTENT_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "mp3": "audio/mpeg",
    "txt": "text/plain; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
}
EXTENSIONS = {content_type: extension for extension, content_type in CONTENT_TYPES.items()}
_NAME = re.compile(r"[a-z]{2,16}")


@dataclass(frozen=True, slots=True)
class Limits:
    """Generating calls a minute: of one user, and of one address without a token."""

    user: int
    address: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Service(Area):
    """A service that generates one artifact a request.

    ``name`` is its route and its word for parameters, limits, logs, storage and make targets; ``plural`` is the path of
    its list, ``/admin/<plural>``; ``operation`` and ``operations`` name one and many in the ids of the description.
    ``artifact`` is what it makes (its folder and key in storage), ``filename`` the stem of the file, ``extensions`` the
    endings that a file may have.
    ``shown`` are the parameters of a record that ``meta`` of the API shows, ``told`` those beside ``meta``: names with
    their types, annotated for the description.
    ``providers`` are who can generate, as ``"module:Class"``, and ``chain`` who does unless the stack says otherwise.
    On one machine ``local_chain`` does, or, where that is empty, the chain with the offline engine behind it.
    ``streams``: answers of the generating route may leave in pieces.
    ``variables`` are what its generating function is told beside that, with values as the template writes them.
    ``user_table`` is the one of them that names a table of what users have beside their generations; the keys of its
    items are ``user_id`` and ``id``.
    ``sample`` is the body of a request that every chain serves.
    """

    plural: str
    operation: str
    operations: str
    schema: str
    artifact: str
    filename: str
    extensions: tuple[str, ...]
    providers: Mapping[str, str]
    chain: tuple[str, ...]
    local_chain: tuple[str, ...] = ()
    limits: Limits
    sample: Mapping[str, Any]
    shown: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    told: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    body_bytes: int = 64 * 1024
    streams: bool = False
    memory: int = 1024
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    user_table: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not a service's name: 2 to 16 lower-case letters")
        if unknown := set(self.extensions) - CONTENT_TYPES.keys():
            raise ValueError(f"{self.name}: no media type is known for {', '.join(sorted(unknown))}")
        if strangers := {*self.chain, *self.local_chain} - self.providers.keys():
            raise ValueError(f"{self.name}: {', '.join(sorted(strangers))} is not among its providers")
        if self.user_table and self.user_table not in self.variables:
            raise ValueError(f"{self.name}: {self.user_table} is not among its variables")

    @property
    def pascal(self) -> str:
        """The name as the template's identifiers begin: ``Image``."""
        return self.name.capitalize()

    @property
    def content_types(self) -> tuple[str, ...]:
        """The media types that an artifact may have."""
        return tuple(CONTENT_TYPES[extension] for extension in self.extensions)

    @property
    def makes_pictures(self) -> bool:
        """Whether usage counts its artifacts as pictures."""
        return self.artifact == "image"

    def provider(self, name: str) -> Any:
        """The class of a provider. Raises ``KeyError`` for a name that is not known, and what its import raises."""
        module, _, factory = self.providers[name].partition(":")
        return getattr(importlib.import_module(module), factory)


def found(folder: Path) -> Iterator[Service]:
    """The generating services in a folder of functions, in their order."""
    return (area for area in areas.found(folder) if isinstance(area, Service))
