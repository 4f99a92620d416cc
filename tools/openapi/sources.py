"""Where the functions are, and where their description is committed."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "functions" / "ops" / "openapi.json"
_FOLDERS = ("functions", "layers/core", "layers/accounts", "layers/generation")


def add_to_path() -> None:
    """Let the functions be imported as Lambda does."""
    sys.path[:0] = [str(ROOT / folder) for folder in _FOLDERS]
