"""Which services there are, and by which names people know them: what `functions/*/service.py` say."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tools.sources import FUNCTIONS, add_to_path

from localstack.console import CommandFailed

if TYPE_CHECKING:
    from core.areas import Area
    from generation.services import Service


@functools.cache
def areas() -> tuple[Area, ...]:
    """All areas, in their order. The platform's own process has no functions on its path and does not ask."""
    add_to_path()
    from core.areas import found

    return tuple(found(FUNCTIONS))


def generating() -> tuple[Service, ...]:
    """The services that generate something, in their order."""
    add_to_path()
    from generation.services import Service

    return tuple(area for area in areas() if isinstance(area, Service))


def words() -> list[str]:
    """All names of all areas, the older ones, too."""
    return [word for area in areas() for word in (area.name, *area.aliases)]


def _meant(word: str) -> set[str]:
    """The folders that a word means: an area by its name or an older word, and with it those of the same tag."""
    tags = {area.tag for area in areas() if word in (area.name, *area.aliases)}
    return {area.name for area in areas() if area.tag in tags}


def folders(service: str, known: Iterable[str]) -> tuple[str, ...]:
    """The folders in `functions` that a service is made of.

    Raises CommandFailed, with the names of all services that are known, when it is none of them.
    """
    present = set(known)
    found = tuple(sorted(present & (_meant(service) or {service})))
    if not found:
        aliases = {alias for area in areas() for alias in area.aliases if area.name in present}
        choice = ", ".join(sorted(present | aliases))
        raise CommandFailed(f"service {service}", "there is none of this name", f"say one of {choice}")
    return found
