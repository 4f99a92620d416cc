"""What the platform is made of: a folder of functions is an area, and says of itself what others must know.

``functions/<area>/service.py`` holds its descriptor, ``SERVICE``. Whoever needs all of them asks ``found``; nobody
keeps a list.
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A folder of functions. ``name`` is the folder's; ``tag`` is its heading in the API's description.

    ``about`` is the heading's text; areas with the same tag share one. ``order`` is its place in the description and in
    every list for people. ``aliases`` are older words for it in the names of commands.
    """

    name: str
    tag: str
    about: str = ""
    order: int = 50
    aliases: tuple[str, ...] = ()


def found(folder: Path) -> Iterator[Area]:
    """The areas in a folder of functions, in their order. Raises ``ValueError`` for a descriptor of another folder.

    The folder must be one that modules are imported from.
    """
    sources = sorted(folder.glob("*/service.py"))
    areas: list[Area] = [importlib.import_module(f"{source.parent.name}.service").SERVICE for source in sources]
    for source, area in zip(sources, areas, strict=True):
        if area.name != source.parent.name:
            raise ValueError(f"{source.parent.name}/service.py describes {area.name!r}")
    return iter(sorted(areas, key=lambda area: (area.order, area.name)))
