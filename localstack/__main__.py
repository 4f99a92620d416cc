"""Command line of the local platform: `python -m localstack COMMAND`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from localstack import commands, console, functions_log, live, settings
from localstack.sam_local import command as sam_local


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    root = argparse.ArgumentParser(prog="localstack", description="The local platform.")
    choices = root.add_subparsers(dest="command", required=True)
    for name in ("up", "down", "status", "build", "deploy", "healthcheck", "describe"):
        choices.add_parser(name, help=getattr(commands, name).__doc__.splitlines()[0])
    log = choices.add_parser("logs", help="follow the logs")
    log.add_argument("part", nargs="?", default=functions_log.EVERYTHING, help="a service; all of them if not said")
    log.add_argument("--no-follow", action="store_true", help="print what there is and end")
    choices.add_parser("dev", help="put each edit of a service live").add_argument("service")
    local = choices.add_parser("sam-local", help="serve the API by sam local start-api")
    local.add_argument("--port", type=int, default=3001)
    choices.add_parser("database", help="stop or start PostgreSQL").add_argument("action", choices=("start", "stop"))
    return root


def run(options: argparse.Namespace) -> None:
    """Run one command. Raises CommandFailed."""
    config = settings.load()
    match options.command:
        case "logs":
            functions_log.show(config, options.part, follow=not options.no_follow)
        case "dev":
            live.watch_service(config, options.service)
        case "sam-local":
            sam_local.start(config, options.port)
        case "database":
            commands.database(config, options.action)
        case name:
            getattr(commands, name)(config)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    options = parser().parse_args(arguments)
    return console.status_of(options.command, lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
