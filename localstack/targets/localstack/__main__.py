"""Command line of the platform on LocalStack: `python -m localstack.targets.localstack up|down|check`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from localstack import console
from localstack.targets.localstack import commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    parser = argparse.ArgumentParser(prog="localstack.targets.localstack", description=main.__doc__)
    parser.add_argument("command", choices=("up", "down", "check"))
    command = parser.parse_args(arguments).command
    try:
        getattr(commands, command)(commands.load())
    except console.CommandFailed as failure:
        console.report_failure(failure)
    except (BotoCoreError, ClientError, OSError) as error:
        console.report_failure(console.CommandFailed(command, str(error), "read .local/localstack/logs"))
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
