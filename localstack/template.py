"""What a SAM template declares, read from its text."""

from __future__ import annotations

import re
from pathlib import Path

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def declared_parameters(template: Path) -> list[str]:
    """The names of the template's parameters: the keys of its section `Parameters`, indented by two spaces.

    Read without a YAML parser: SAM's short forms (`!Ref`) are not YAML that a plain one knows.
    """
    names: list[str] = []
    inside = False
    for entry in template.read_text().splitlines():
        if entry and not entry[0].isspace() and not entry.startswith("#"):
            inside = entry.startswith("Parameters:")
        elif inside and re.fullmatch(r"  \w+:\s*(#.*)?", entry):
            names.append(entry.split(":")[0].strip())
    return names


def variable_of(parameter: str) -> str:
    """The environment variable that sets a parameter: `ImageProviders` is IMAGE_PROVIDERS."""
    return _WORD_START.sub("_", parameter).upper()
