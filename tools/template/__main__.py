"""``python -m tools.template``: write template.yaml, or check that the committed one is what would be written."""

import argparse
import sys
from collections.abc import Sequence

from tools.sources import ROOT, add_to_path

COMMITTED = ROOT / "template.yaml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 1 when the committed template is not the one that the sources say."""
    parser = argparse.ArgumentParser(prog="python -m tools.template", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("write", help="render template.yaml")
    commands.add_parser("check", help="fail unless template.yaml is what would be rendered")
    options = parser.parse_args(arguments)

    add_to_path()
    from tools.template import render

    text = render.template()
    if options.command == "write":
        COMMITTED.write_text(text)
        print(f"  wrote           {COMMITTED.name}, {len(text.splitlines())} lines")
    elif text != COMMITTED.read_text():
        print("  template.yaml is not what its sources say: run make template", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
