"""``python -m tools.docs``: write the tables of the documentation, or check that they are what would be written."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.sources import ROOT, add_to_path


def pages() -> Iterator[Path]:
    """The pages of the documentation."""
    yield from sorted(ROOT.glob("*.md"))
    yield from sorted((ROOT / "docs").glob("*.md"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 1 when a page has tables that are not what the sources say."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("write", help="write the tables of all pages")
    commands.add_parser("check", help="fail unless the tables are what would be written")
    options = parser.parse_args(arguments)

    add_to_path()
    from tools.docs import tables

    status = 0
    for page in pages():
        text = page.read_text()
        written = tables.written(text)
        if written == text:
            continue
        name = page.relative_to(ROOT)
        if options.command == "write":
            page.write_text(written)
            print(f"  wrote           the tables of {name}")
        else:
            print(f"  the tables of {name} are not what their sources say: run make docs", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
