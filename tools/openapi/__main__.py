"""``python -m tools.openapi``: write the description of the API, or check that the committed one is right."""

import argparse
import json
import sys
from collections.abc import Sequence

from tools.openapi.breaking import breaking_changes
from tools.sources import DESCRIPTION as COMMITTED
from tools.sources import add_to_path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 1 when clients would break or the committed description is not the functions'."""
    parser = argparse.ArgumentParser(prog="python -m tools.openapi", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("write", help="make functions/ops/openapi.json from the functions")
    write.add_argument("--allow-breaking", action="store_true", help="also when that breaks clients")
    commands.add_parser("check", help="fail unless functions/ops/openapi.json is what the functions say")
    options = parser.parse_args(arguments)

    add_to_path()
    from tools.openapi import document

    made = document.text()
    committed = COMMITTED.read_text() if COMMITTED.exists() else None
    breaking = breaking_changes(json.loads(committed), json.loads(made)) if committed else []
    for change in breaking:
        print(f"  breaks clients  {change}", file=sys.stderr)
    if options.command == "check":
        return _check(made, committed)
    if breaking and not options.allow_breaking:
        print("  not written; if it has to be: make openapi ALLOW_BREAKING=1", file=sys.stderr)
        return 1
    COMMITTED.write_text(made)
    print(f"  wrote           {COMMITTED.name}, {len(made)} characters")
    return 0


def _check(made: str, committed: str | None) -> int:
    if made == committed:
        return 0
    print("  functions/ops/openapi.json is not what the functions say: run make openapi", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
