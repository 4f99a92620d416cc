"""``python -m tools.commands``: what `make help` prints, each rule of the Makefile with what it is for.

Needs nothing but Python, so that it works before anything is installed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator

from localstack import services

from tools.operate import smoke
from tools.sources import ROOT

RULE = re.compile(r"^([a-z][a-z %-]*):[^#\n]*## (.*)$", re.MULTILINE)
SETTINGS = """
  Settings: API_PORT=3000 AWS_PORT=4566 PYTHON=python3, and each parameter of template.yaml:
            ImageProviders is IMAGE_PROVIDERS"""


def names(target: str) -> list[str]:
    """What a target stands for: a pattern such as `logs-%` for one of each service, or part of the API for `test-%`."""
    if "%" not in target:
        return [target]
    words = smoke.parts() if target == "test-%" else services.words()
    return [target.replace("%", word) for word in sorted(words)]


def commands(makefile: str) -> Iterator[tuple[str, str]]:
    """Each command that a Makefile explains, and the explanation."""
    for targets, text in RULE.findall(makefile):
        for target in targets.split():
            yield from ((name, text) for name in names(target))


def main() -> int:
    """Print them all."""
    listed = [f"  {name:<17} {text}" for name, text in commands((ROOT / "Makefile").read_text())]
    try:
        print("\n".join([*listed, SETTINGS]), flush=True)
    except BrokenPipeError:
        # Whoever read it has read enough; the interpreter would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
