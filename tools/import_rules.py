"""``python -m tools.import_rules``: who may import whom, checked by import-linter for the areas that there are."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.sources import FUNCTIONS, add_to_path

if TYPE_CHECKING:
    from core.areas import Area

# The areas of this tag are the accounts plane.
ACCOUNTS = "Accounts"


def contracts(areas: Iterable[Area]) -> list[dict[str, Any]]:
    """The rules, as import-linter takes them."""
    from generation.services import Service

    found = list(areas)
    names = [area.name for area in found]
    accounts = [area.name for area in found if area.tag == ACCOUNTS]
    generating = [area.name for area in found if isinstance(area, Service)]
    return [
        {
            "name": "Functions use the planes, the planes use core, and nobody imports a function",
            "type": "layers",
            "layers": [" | ".join(names), "offline | model", "accounts | generation | web", "core"],
        },
        {
            "name": "The offline engines are found by their name, not imported",
            "type": "forbidden",
            "source_modules": names,
            "forbidden_modules": ["offline", "model"],
        },
        {
            "name": "The accounts plane does not know S3 or providers",
            "type": "forbidden",
            "source_modules": [*accounts, "accounts"],
            "forbidden_modules": ["generation", "requests", "gtts"],
        },
        {
            "name": "The generation plane does not know PostgreSQL",
            "type": "forbidden",
            "source_modules": [*generating, "generation", "offline", "model"],
            "forbidden_modules": ["accounts", "psycopg2", "bcrypt"],
        },
        {
            "name": "The authorizer starts with PyJWT and the standard library alone",
            "type": "forbidden",
            "source_modules": ["auth.authorizer", "core.identity"],
            "forbidden_modules": ["boto3", "botocore", "pydantic", "aws_lambda_powertools"],
        },
    ]


def configuration(areas: Iterable[Area]) -> str:
    """import-linter's configuration, TOML."""
    found = list(areas)
    layers = [path.parent.name for path in sorted((FUNCTIONS.parent / "layers").glob("*/Makefile"))]
    lines = ["[tool.importlinter]", "include_external_packages = true"]
    lines.append(f"root_packages = {json.dumps([*(area.name for area in found), *layers])}")
    for contract in contracts(found):
        lines += ["[[tool.importlinter.contracts]]", *(f"{key} = {json.dumps(contract[key])}" for key in contract)]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Check the rules; 1 when one is broken."""
    add_to_path()
    from importlinter.cli import lint_imports

    from core.areas import found

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "import-rules.toml"
        path.write_text(configuration(found(FUNCTIONS)))
        return lint_imports(config_filename=str(path), no_cache=True)


if __name__ == "__main__":
    sys.exit(main())
