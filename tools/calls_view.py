"""What questions in SQL are asked of: the view `calls` of all records, with the same columns in Athena and DuckDB.

Calls that failed have no record. DuckDB has those that were counted as `failures`, from the ledger of usage, which is
in DynamoDB, where Athena does not look.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

VIEW = "calls"
FAILURES = "failures"

Shape = Mapping[str, "str | Shape"]
# What of a record.json is read, with the types as Hive writes them.
RECORD: Shape = {
    "id": "string",
    "userId": "string",
    "service": "string",
    "provider": "string",
    "model": "string",
    "prompt": "string",
    "status": "string",
    "latencyMs": "bigint",
    "size": {"inputBytes": "bigint", "outputBytes": "bigint"},
    "cost": {"usd": "double"},
    "createdAt": "string",
    "meta": {
        "params": {
            "inputTokens": "bigint",
            "outputTokens": "bigint",
            "durationSeconds": "double",
            "fallbackFrom": "string",
            "fallbackReason": "string",
            "finishReason": "string",
            "sessionId": "string",
        }
    },
}
DAY = "day"
"""The partition of a record: the day of its folder, such as 2026/11/22."""
_MADE_AT = "made_at"
# Columns, where each is in a record, and its type in Athena.
COLUMNS = (
    ("id", "id", "varchar"),
    (DAY, DAY, "varchar"),
    (_MADE_AT, "createdAt", "timestamp(3)"),
    ("user_id", "userId", "varchar"),
    ("service", "service", "varchar"),
    ("provider", "provider", "varchar"),
    ("model", "model", "varchar"),
    ("prompt", "prompt", "varchar"),
    ("latency_ms", "latencyMs", "bigint"),
    ("input_bytes", "size.inputBytes", "bigint"),
    ("output_bytes", "size.outputBytes", "bigint"),
    ("usd", "cost.usd", "double"),
    ("input_tokens", "meta.params.inputTokens", "bigint"),
    ("output_tokens", "meta.params.outputTokens", "bigint"),
    ("audio_seconds", "meta.params.durationSeconds", "double"),
    ("fallback_from", "meta.params.fallbackFrom", "varchar"),
    ("fallback_reason", "meta.params.fallbackReason", "varchar"),
    ("finish_reason", "meta.params.finishReason", "varchar"),
    ("session_id", "meta.params.sessionId", "varchar"),
)
# Columns of failures: those that a call has of whose record there is nothing.
FAILURE_COLUMNS = tuple(
    one for one in COLUMNS if one[0] in ("id", DAY, _MADE_AT, "user_id", "service", "provider", "model")
)
_MADE_AT_IN_DUCKDB = "createdAt::TIMESTAMPTZ AT TIME ZONE 'UTC'"
_DUCKDB_TYPES = {"string": "VARCHAR", "bigint": "BIGINT", "double": "DOUBLE"}


def select(tables: Iterable[str], made_at: str) -> str:
    """The view's query; ``made_at`` makes a time, in UTC, of ``createdAt``."""
    listed = ", ".join(f"{made_at if name == _MADE_AT else place} AS {name}" for name, place, _ in COLUMNS)
    return " UNION ALL ".join(f"SELECT {listed} FROM {table} WHERE status = 'completed'" for table in tables)  # noqa: S608  of names in here


def athena(tables: Iterable[str], database: str) -> str:
    """The view as Athena keeps it, before it is in Base64."""
    made_at = "CAST(from_iso8601_timestamp(createdAt) AT TIME ZONE 'UTC' AS timestamp(3))"
    view = {
        "originalSql": select(tables, made_at),
        "catalog": "awsdatacatalog",
        "schema": database,
        "columns": [{"name": name, "type": kind} for name, _, kind in COLUMNS],
    }
    return json.dumps(view)


def hive(shape: str | Shape) -> str:
    """A type as Glue writes it."""
    if isinstance(shape, str):
        return shape
    return f"struct<{','.join(f'{name.lower()}:{hive(kind)}' for name, kind in shape.items())}>"


def hive_columns() -> list[tuple[str, str]]:
    """Names and types of the columns of a table of records."""
    return [(name.lower(), hive(kind)) for name, kind in RECORD.items()]


def view_columns() -> list[tuple[str, str]]:
    """Names and types of the view's columns, as Glue writes them."""
    return [(name, {"varchar": "string", "timestamp(3)": "timestamp"}.get(kind, kind)) for name, _, kind in COLUMNS]


def duckdb(shape: str | Shape) -> str:
    """A type as DuckDB writes it."""
    if isinstance(shape, str):
        return _DUCKDB_TYPES[shape]
    return f"STRUCT({', '.join(f'{name} {duckdb(kind)}' for name, kind in shape.items())})"


def duckdb_view(file: str) -> str:
    """The statement that makes the view over a file of records as JSON Lines, each with its day."""
    return f"CREATE TABLE {VIEW} AS {select([_json(file, {**RECORD, DAY: 'string'})], _MADE_AT_IN_DUCKDB)}"


def duckdb_failures(file: str) -> str:
    """The statement that makes the table of failed calls over a file of them as JSON Lines, named as in a record."""
    shape = {place: "string" for _, place, _ in FAILURE_COLUMNS}
    listed = ", ".join(
        f"{_MADE_AT_IN_DUCKDB if name == _MADE_AT else place} AS {name}" for name, place, _ in FAILURE_COLUMNS
    )
    return f"CREATE TABLE {FAILURES} AS SELECT {listed} FROM {_json(file, shape)}"  # noqa: S608  of names in here


def _json(file: str, shape: Mapping[str, str | Shape]) -> str:
    columns = ", ".join(f"{name}: '{duckdb(kind)}'" for name, kind in shape.items())
    return f"read_json('{file}', format = 'newline_delimited', columns = {{{columns}}})"
