"""Bring the database's schema up to date: forward only, safe to run twice and from several places at once.

Aurora DSQL sets the rules: no advisory lock to hold the others off, one DDL statement per transaction, and none beside
a DML statement. So a migration and the note that it was applied are two transactions, and each migration is one
statement that does no harm when it runs again (``CREATE … IF NOT EXISTS``). Runs that meet are let collide and retry.
"""

import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import TypeVar

import psycopg2

from accounts.connection import Cursor
from accounts.database import Database
from core import times

_MOST_COLLISIONS = 20
_LONGEST_PAUSE_SECONDS = 0.1
# Two runs creating the same thing at once: unique_violation (in the catalogue), duplicate_table, duplicate_object,
# duplicate_column, internal_error ("tuple concurrently updated"), active_sql_transaction, object_in_use.
_COLLISION = frozenset({"23505", "42P07", "42710", "42701", "XX000", "25001", "55006"})

ResultT = TypeVar("ResultT")

_CREATE_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL
)
"""


class MigrationError(RuntimeError):
    """The migrations of this release and those of the database contradict each other."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL statement; ``name`` is its file's, which starts with the version."""

    name: str
    sql: str

    @property
    def version(self) -> int:
        """The number in front of the name: the order in which migrations are applied."""
        return int(self.name.partition("_")[0])

    @property
    def checksum(self) -> str:
        """SHA-256 of the statement, in hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def bundled() -> list[Migration]:
    """The migrations of this release, in order."""
    scripts = (entry for entry in files("accounts").joinpath("migrations").iterdir() if entry.name.endswith(".sql"))
    migrations = [Migration(script.name, script.read_text(encoding="utf-8")) for script in scripts]
    return sorted(migrations, key=lambda migration: migration.version)


def migrate(database: Database, migrations: list[Migration] | None = None) -> list[str]:
    """Apply what is missing and return the names of what this run applied, in order.

    Migrations of the database that this release does not have are a later release's, and left alone.
    Raises ``MigrationError`` when one was edited after it had been applied, ``ServiceUnavailable`` when the
    database is down.
    """
    wanted = bundled() if migrations is None else migrations
    _retrying(database, _create_ledger)
    applied = _retrying(database, _applied)
    for migration in wanted:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise MigrationError(
                f"migration {migration.name} was changed after it had been applied; put it back and add a new one"
            )
    done = []
    for migration in wanted:
        if migration.version in applied:
            continue
        _retrying(database, partial(_apply, migration))
        if _retrying(database, partial(_note, migration)):
            done.append(migration.name)
    return done


def missing(database: Database) -> list[str]:
    """The names of this release's migrations that the database does not have, in order.

    Raises ``ServiceUnavailable`` when the database is down.
    """
    try:
        applied = database.run(_applied)
    except psycopg2.errors.UndefinedTable:
        applied = {}
    return [migration.name for migration in bundled() if migration.version not in applied]


def _retrying(database: Database, work: Callable[[Cursor], ResultT]) -> ResultT:
    collisions = 0
    while True:
        try:
            return database.run(work)
        except psycopg2.Error as error:
            collisions += 1
            if error.pgcode not in _COLLISION or collisions > _MOST_COLLISIONS:
                raise
            time.sleep(random.uniform(0, _LONGEST_PAUSE_SECONDS))  # noqa: S311 - not a secret


def _create_ledger(cursor: Cursor) -> None:
    cursor.execute(_CREATE_LEDGER)


def _applied(cursor: Cursor) -> dict[int, str]:
    cursor.execute("SELECT version, checksum FROM schema_migrations")
    return dict(cursor.fetchall())


def _apply(migration: Migration, cursor: Cursor) -> None:
    cursor.execute(migration.sql)


def _note(migration: Migration, cursor: Cursor) -> bool:
    """Note the migration as applied; false when another run was first."""
    cursor.execute(
        "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (version) DO NOTHING",
        (migration.version, migration.name, migration.checksum, times.now()),
    )
    return cursor.rowcount == 1
