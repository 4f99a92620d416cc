"""Where the functions and the layers are."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FUNCTIONS = ROOT / "functions"
DESCRIPTION = FUNCTIONS / "ops" / "openapi.json"


def add_to_path() -> None:
    """Let the functions be imported as Lambda does."""
    # Builds would take byte code along that lies among the sources.
    sys.dont_write_bytecode = True
    layers = sorted(path.parent for path in ROOT.glob("layers/*/Makefile"))
    sys.path[:0] = [str(folder) for folder in (FUNCTIONS, *layers) if str(folder) not in sys.path]
