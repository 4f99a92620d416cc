"""`python -m tools.operate.duck RECORDS FAILURES SQL`: answer a query over two files. Runs where DuckDB is."""

from __future__ import annotations

import sys

import duckdb  # type: ignore[import-not-found,unused-ignore]

from tools import calls_view

MOST_ROWS = 1000


def main(records: str, failures: str, sql: str) -> int:
    """Print the answer as a table; the exit status."""
    connection = duckdb.connect()
    connection.execute(calls_view.duckdb_view(records))
    connection.execute(calls_view.duckdb_failures(failures))
    try:
        answer = connection.sql(sql)
        if answer is not None:
            answer.show(max_rows=MOST_ROWS, max_width=200)
    except duckdb.Error as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
