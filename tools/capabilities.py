"""Show in docs/emulators.md what the integration tests have recorded in docs/capabilities.json.

`python -m tools.capabilities write` puts the table between the marks, `check` fails when it is another one.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"
RECORD, PAGE = DOCS / "capabilities.json", DOCS / "emulators.md"
OUTCOMES = ("passed", "failed", "skipped")
BEGIN, END = "<!-- capabilities:begin -->\n", "<!-- capabilities:end -->\n"


def table(record: dict[str, Any]) -> str:
    """The record as a table: a row for each capability, a column for each target, and below it why not."""
    targets = record["targets"]
    found = targets.values()
    rows = [
        ["", *targets],
        ["---"] * (len(targets) + 1),
        ["product", *(f"{target['product']} {target['version']}" for target in found)],
        ["tried", *(target["date"] for target in found)],
        ["parts of the suite", *(", ".join(target["parts"]) or "all" for target in found)],
        *([f"tests {how}", *(str(target["tests"][how]) for target in found)] for how in OUTCOMES),
    ]  # fmt: skip
    for name, meaning in record["capabilities"].items():
        rows.append(
            [f"`{name}`: {meaning}", *("no" if name in target["lacks"] else "yes" for target in targets.values())]
        )
    lines = [f"| {' | '.join(row)} |" for row in rows]
    reasons = [
        f"* {name} lacks `{capability}`: {reason}."
        for name, target in targets.items()
        for capability, reason in target["lacks"].items()
    ]
    return "\n".join([*lines, "", *reasons]) + "\n"


def rendered(page: str, record: dict[str, Any]) -> str:
    """The page with the table of the record."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no marks for the table")
    return before + begin + table(record) + end + after


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table, or check it; 1 when it is not what was recorded."""
    parser = argparse.ArgumentParser(prog="python -m tools.capabilities", description=main.__doc__)
    parser.add_argument("command", choices=("write", "check"))
    command = parser.parse_args(arguments).command
    page = PAGE.read_text()
    wanted = rendered(page, json.loads(RECORD.read_text()))
    if command == "write":
        PAGE.write_text(wanted)
    elif page != wanted:
        print(f"  docs/{PAGE.name} does not show what docs/{RECORD.name} says: run make capabilities", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
