"""Ask the records anything, in SQL: fetch those of some days, and let DuckDB answer over the view `calls`.

Beside it is `failures`: the calls of these days that failed, of which only the ledger of usage tells.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from localstack import console, environments, services
from localstack.console import CommandFailed
from localstack.settings import ROOT

from tools.calls_view import DAY
from tools.operate.target import Target
from tools.sources import add_to_path

_AT_ONCE = 16
_SUFFIX = "/record.json"


def ask(stack_now: Target, sql: str, first: str, last: str) -> None:
    """Print what a query over the records of these days, in UTC, answers. Raises CommandFailed."""
    if first > last:
        raise CommandFailed("FROM", f"{first} is after TO={last}", "give the earlier day first")
    with tempfile.TemporaryDirectory() as folder:
        records, failures = Path(folder) / "records.jsonl", Path(folder) / "failures.jsonl"
        with console.step("query", f"reading the records of {first} to {last}") as step:
            number, failed = write(stack_now, records, first, last), write_failures(stack_now, failures, first, last)
            step.note = f"{number} records and {failed} failures of {first} to {last}"
        answered = subprocess.run(
            [str(environments.questions().python), "-m", "tools.operate.duck", str(records), str(failures), sql],
            cwd=ROOT,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            check=False,
        )
    if answered.returncode:
        raise CommandFailed("query", "DuckDB refused it", "its message is above; the columns are in docs/usage.md")


def write(stack_now: Target, file: Path, first: str, last: str) -> int:
    """Write the records as JSON Lines, each with its day; how many there were."""
    s3 = stack_now.client("s3")
    number = 0
    with file.open("w") as lines, ThreadPoolExecutor(_AT_ONCE) as pool:
        for service in services.generating():
            bucket = stack_now.outputs[f"{service.pascal}BucketName"]
            for day in map(_folder, _days(first, last)):
                keys = list(_keys(s3, bucket, f"requests/{day}/"))
                for record in pool.map(lambda key, bucket=bucket: _record(s3, bucket, key), keys):
                    if record is not None:
                        lines.write(json.dumps({**record, DAY: day}) + "\n")
                        number += 1
    return number


def write_failures(stack_now: Target, file: Path, first: str, last: str) -> int:
    """Write the calls that failed as JSON Lines, with the names of a record; how many there were."""
    add_to_path()
    from core import times
    from generation.usage.table import UsageTable

    table = UsageTable(stack_now.client("dynamodb"), stack_now.outputs["UsageTableName"])
    number = 0
    with file.open("w") as lines:
        for day in _days(first, last):
            for entry in table.ledger(day):
                if entry.counters.failed:
                    place = {"id": entry.id, "userId": entry.user_id, "createdAt": times.rfc3339(entry.at)}
                    lines.write(json.dumps({**place, **entry.source._asdict(), DAY: _folder(day)}) + "\n")
                    number += 1
    return number


def _days(first: str, last: str) -> Iterator[date]:
    day = date.fromisoformat(first)
    while day <= date.fromisoformat(last):
        yield day
        day += timedelta(days=1)


def _folder(day: date) -> str:
    return f"{day:%Y/%m/%d}"


def _keys(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (item["Key"] for item in page.get("Contents", ()) if item["Key"].endswith(_SUFFIX))


def _record(s3: Any, bucket: str, key: str) -> dict[str, Any] | None:
    """A record; None for one that was deleted meanwhile, or is none."""
    try:
        found = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return None
        raise
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
