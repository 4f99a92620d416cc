"""Custom resource: brings the database schema up to date whenever the accounts layer changes."""

from collections.abc import Mapping
from typing import Any

from accounts import database, migrate
from core import custom_resource

MIGRATION_SECONDS = 40.0


def handler(event: dict[str, Any], _context: object) -> None:
    """Run the migrations that the database does not have yet."""
    custom_resource.respond(event, _work)


def _work(_event: Mapping[str, Any]) -> Mapping[str, str]:
    applied = migrate.migrate(database.from_env(seconds=MIGRATION_SECONDS))
    return {"Applied": ",".join(applied)}
