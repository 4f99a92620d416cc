"""What a run of the suite found, for docs/capabilities.json; `python -m tools.capabilities` makes a table of it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.integration.targets import CAPABILITIES, TARGETS, Target

FILE = Path(__file__).resolve().parents[2] / "docs" / "capabilities.json"


def added(
    record: Mapping[str, Any], target: Target, parts: Sequence[str], tests: Mapping[str, int], date: str
) -> dict[str, Any]:
    """The record with what was found on a target, in place of what was found there before.

    ``parts`` are the files of the suite that were run; none for all of it.
    """
    found = {
        "product": target.product,
        "version": target.version,
        "date": date,
        "parts": list(parts),
        "tests": dict(tests),
        "lacks": dict(sorted(target.lacks.items())),
    }
    targets = dict(record.get("targets", {})) | {target.name: found}
    return {
        "capabilities": CAPABILITIES,
        "targets": {name: targets[name] for name in TARGETS if name in targets},
    }


def write(target: Target, parts: Sequence[str], tests: Mapping[str, int], date: str) -> None:
    """Write down a run; its probes have found what is declared."""
    record = json.loads(FILE.read_text()) if FILE.exists() else {}
    FILE.write_text(json.dumps(added(record, target, parts, tests, date), indent=2) + "\n")
