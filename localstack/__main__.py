"""Command line of the local platform: `python -m localstack COMMAND`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from localstack import commands, console, functions_log, history, live, promotion, sam_local, settings, smoke


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
    choices.add_parser("promote", help="make an account an admin").add_argument("email")
    choices.add_parser("smoke", help="call one part of the API").add_argument("part", choices=sorted(smoke.PARTS))
    choices.add_parser("sam-local", help="write the functions' environment for sam local start-api")
    for name, help_text in (
        ("verify-index", "compare the history with the records"),
        ("reindex", "repair the history"),
    ):
        index = choices.add_parser(name, help=help_text)
        index.add_argument(
            "--service", choices=("", *history.SERVICES), default="", help="image or tts; both if not said"
        )
        index.add_argument(
            "--user", type=history.user, default="", help="the id of one user, or anonymous; all if not said"
        )
        index.add_argument("--from", dest="first", type=history.day, default="", help="first day, such as 2026-11-01")
        index.add_argument("--to", dest="last", type=history.day, default="", help="last day; today if not said")
        index.add_argument("--grace", type=float, default=10.0, help="seconds that an event may be on its way")
    choices.add_parser("redrive", help="move dead letters back").add_argument(
        "--service", choices=("", *history.SERVICES), default=""
    )
    choices.add_parser("database", help="stop or start PostgreSQL").add_argument("action", choices=("start", "stop"))
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    options = parser().parse_args(arguments)
    try:
        config = settings.load()
        match options.command:
            case "logs":
                functions_log.show(config, options.part, follow=not options.no_follow)
            case "dev":
                live.watch_service(config, options.service)
            case "promote":
                promotion.promote(config, options.email)
            case "smoke":
                smoke.run(config, options.part)
            case "sam-local":
                sam_local.write_environment(config)
            case "verify-index" | "reindex":
                history.reindex(config, options, repair=options.command == "reindex")
            case "redrive":
                history.redrive(config, options.service)
            case "database":
                commands.database(config, options.action)
            case name:
                getattr(commands, name)(config)
    except console.CommandFailed as failure:
        console.report_failure(failure)
        return 1
    except BrokenPipeError:
        # Whoever read our output has read enough; the interpreter would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (BotoCoreError, ClientError, OSError) as error:
        console.report_failure(
            console.CommandFailed(
                options.command, str(error), "look at `make status`; `make down`, `make up` restart all"
            )
        )
        return 1
    except KeyboardInterrupt:
        print()
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
