"""Command line of the operator: `python -m tools.operate [--target aws] [--stack NAME] COMMAND`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from localstack import console, services
from localstack.settings import STACK_NAME

from tools.operate import history, promotion, questions, smoke, target, usage


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    root = argparse.ArgumentParser(prog="operate", description="Work on a stack that runs.")
    root.add_argument("--target", choices=target.TARGETS, default=target.LOCAL, help="where it runs; here if not said")
    root.add_argument("--stack", default=STACK_NAME, help=f"its name; {STACK_NAME} if not said")
    choices = root.add_subparsers(dest="command", required=True)
    choices.add_parser("promote", help="make an account an admin").add_argument("email")
    choices.add_parser("smoke", help="call one part of the API").add_argument("part", choices=sorted(smoke.parts()))
    names = tuple(service.name for service in services.generating())
    for name, help_text in (
        ("verify-index", "compare the history with the records"),
        ("reindex", "repair the history"),
        ("redrive", "move dead letters back"),
    ):
        command = choices.add_parser(name, help=help_text)
        more = (history.USAGE,) if name == "redrive" else ()
        command.add_argument("--service", choices=("", *names, *more), default="", help="one service; all if not said")
        if name == "redrive":
            continue
        command.add_argument(
            "--user", type=history.user, default="", help="the id of one user, or anonymous; all if not said"
        )
        _add_days(command)
        command.add_argument("--grace", type=float, default=10.0, help="seconds that an event may be on its way")
    for name, help_text in (
        ("verify-usage", "compare usage with the records"),
        ("recount", "count usage anew from the records"),
    ):
        _add_days(choices.add_parser(name, help=help_text))
    query = choices.add_parser("query", help="ask the records in SQL, which is the environment's SQL")
    _add_days(query)
    choices.add_parser("scrape-token", help="write the token of /metrics to a file")
    forget = choices.add_parser("forget", help="remove an account and all that is its own")
    forget.add_argument("--user", required=True, help="its id or address")
    forget.add_argument("--yes", action="store_true", help="without asking")
    return root


def _add_days(command: argparse.ArgumentParser) -> None:
    command.add_argument("--from", dest="first", type=history.day, default="", help="first day, such as 2026-11-01")
    command.add_argument("--to", dest="last", type=history.day, default="", help="last day; today if not said")


def run(options: argparse.Namespace) -> None:
    """Run one command. Raises CommandFailed."""
    stack_now = target.find(options.target, options.stack)
    match options.command:
        case "promote":
            promotion.promote(stack_now, options.email)
        case "smoke":
            smoke.run(stack_now.api_url, options.part)
        case "redrive":
            history.redrive(stack_now, options.service)
        case "verify-usage" | "recount":
            usage.recount(stack_now, options.first, options.last, repair=options.command == "recount")
        case "query":
            questions.ask(stack_now, os.environ["SQL"], options.first, options.last)
        case "scrape-token":
            usage.scrape_token(stack_now, usage.TOKEN_FILE)
        case "forget":
            usage.forget(stack_now, options.user, sure=options.yes)
        case _:
            history.reindex(stack_now, options, repair=options.command == "reindex")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    options = parser().parse_args(arguments)
    return console.status_of(options.command, lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
