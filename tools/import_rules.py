"""The law of the layers, checked with import-linter: `python -m tools.import_rules`.

The folders of functions/ are what the registry finds, so that no list of them has to be kept.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from importlinter.cli import lint_imports

from tools.sources import FUNCTIONS, add_to_path

LAYERS = ("offline", "accounts", "generation", "core")
# Knows both planes: it asks of both whether they are well, and repairs the history.
OPERATIONS = "ops"


def rules(accounts: Sequence[str], services: Sequence[str]) -> str:
    """Import-linter's configuration for these folders of functions: of accounts, and of generating services."""
    functions = [*accounts, *services, OPERATIONS]
    return "\n".join(
        [
            "[importlinter]",
            *_list("root_packages", [*functions, *LAYERS]),
            "include_external_packages = True",
            "",
            "[importlinter:contract:layers]",
            "name = Functions use the planes, the planes use core, and nobody imports a function",
            "type = layers",
            *_list("layers", [" | ".join(functions), "offline", "accounts | generation", "core"]),
            *_forbidden("The offline engines are found by their name, not imported", functions, ["offline"]),
            *_forbidden(
                "The accounts plane does not know S3 or providers",
                [*accounts, "accounts"],
                ["generation", "requests", "gtts"],
            ),
            *_forbidden(
                "The generation plane does not know PostgreSQL",
                [*services, "generation", "offline"],
                ["accounts", "psycopg2", "bcrypt"],
            ),
            *_forbidden(
                "The authorizer starts with PyJWT and the standard library alone",
                ["auth.authorizer", "core.identity"],
                ["boto3", "botocore", "pydantic", "aws_lambda_powertools"],
            ),
            "",
        ]
    )


def _forbidden(name: str, sources: Sequence[str], forbidden: Sequence[str]) -> list[str]:
    return [
        "",
        f"[importlinter:contract:{name.lower().replace(' ', '-')}]",
        f"name = {name}",
        "type = forbidden",
        *_list("source_modules", sources),
        *_list("forbidden_modules", forbidden),
    ]


def _list(name: str, values: Sequence[str]) -> list[str]:
    return [f"{name} =", *(f"    {value}" for value in values)]


def main() -> int:
    """Check; 1 when a rule is broken."""
    add_to_path()
    from core import areas
    from generation.services import Service

    found = list(areas.found(FUNCTIONS))
    services = [area.name for area in found if isinstance(area, Service)]
    accounts = [area.name for area in found if area.name not in (*services, OPERATIONS)]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "import_rules.ini"
        config.write_text(rules(accounts, services))
        return lint_imports(config_filename=str(config), no_cache=True, no_logo=True)


if __name__ == "__main__":
    sys.exit(main())
