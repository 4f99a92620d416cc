"""Ask the records anything, in SQL: fetch those of some days, and let DuckDB answer over the view `calls`."""

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

_AT_ONCE = 16
_SUFFIX = "/record.json"


def ask(stack_now: Target, sql: str, first: str, last: str) -> None:
    """Print what a query over the records of these days, in UTC, answers. Raises CommandFailed."""
    if first > last:
        raise CommandFailed("FROM", f"{first} is after TO={last}", "give the earlier day first")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "records.jsonl"
        with console.step("query", f"reading the records of {first} to {last}") as step:
            step.note = f"{write(stack_now, file, first, last)} records of {first} to {last}"
        answered = subprocess.run(
            [str(environments.questions().python), "-m", "tools.operate.duck", str(file), sql],
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
            for day in _days(first, last):
                keys = list(_keys(s3, bucket, f"requests/{day}/"))
                for record in pool.map(lambda key, bucket=bucket: _record(s3, bucket, key), keys):
                    if record is not None:
                        lines.write(json.dumps({**record, DAY: day}) + "\n")
                        number += 1
    return number


def _days(first: str, last: str) -> Iterator[str]:
    day = date.fromisoformat(first)
    while day <= date.fromisoformat(last):
        yield f"{day:%Y/%m/%d}"
        day += timedelta(days=1)


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
