"""The operator's commands for usage: compare its counters with the records, count anew, forget a user, and more.

The work is done by the stack's own functions, while the platform goes on; this only asks and prints.
"""

from __future__ import annotations

import os
from pathlib import Path

from localstack import console
from localstack.console import CommandFailed
from localstack.settings import ROOT

from tools.operate.comparing import ask, show
from tools.operate.target import Target

KINDS = {
    "missing": "records that were not counted",
    "differing": "calls that were counted as something else than their records say",
    "unreadable": "records that are not valid",
    "rows": "days whose numbers are not the sums of their calls",
    "busy": "calls or days that were being written all the time: try again",
}
TOKEN_FILE = ROOT / "observability/prometheus/scrape-token"


def recount(stack_now: Target, first: str, last: str, *, repair: bool) -> None:
    """Compare usage with the records of these days and, with ``repair``, put it right.

    Raises CommandFailed when something is wrong and was not put right.
    """
    if first > last:
        raise CommandFailed("FROM", f"{first} is after TO={last}", "give the earlier day first")
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    begin: str | None = first
    while begin:
        with console.step("usage", f"comparing {begin} to {last}") as step:
            answer = ask(stack_now, "RecountFunctionName", {"from": begin, "to": last, "repair": repair})
            step.note = f"{answer['from']} to {answer['to']}: {answer['records']} records"
        for kind in KINDS:
            found[kind] += answer[kind]
        begin = answer["next"]
    left = found["unreadable"] + found["busy"]
    total = show(found, KINDS)
    if not total:
        console.line("usage", "nothing is wrong" + (", nothing was changed" if repair else ""))
    elif not repair:
        raise CommandFailed(
            "verify-usage",
            f"{total} numbers are not as they should be",
            f"make recount FROM={first} TO={last} puts them right",
        )
    elif left:
        raise CommandFailed("recount", f"{len(left)} could not be put right", "run it again; look at those that stay")
    else:
        console.line("usage", f"{total} put right; make verify-usage FROM={first} TO={last} compares again")


def forget(stack_now: Target, who: str, *, sure: bool) -> None:
    """Say what there is of a user and, when the operator agrees, remove it. Raises CommandFailed.

    ``sure`` is an operator who said so beforehand.
    """
    found = ask(stack_now, "ForgetFunctionName", {"user": who})
    if found["userId"] is None:
        raise CommandFailed("forget", f"there is no account {who}", "check the spelling, or give the id")
    account = found["email"] or "no account any more"
    console.line("forget", f"{found['userId']} ({account}): {found['sessions']} sessions")
    console.line("", f"{found['calls']} generations and tombstones, {found['objects']} objects of storage")
    console.line("", f"{found['items']} kept answers and limits, own usage of {found['days']} days")
    console.line("", "everybody's totals stay; access tokens end within 15 minutes: forget once more after that")
    if not sure and input("  remove all of this, for good? (yes/no) ").strip().lower() != "yes":
        console.line("forget", "nothing was removed")
        return
    # By the id, since the address goes with the account.
    while not ask(stack_now, "ForgetFunctionName", {"user": found["userId"], "remove": True})["removed"]:
        console.line("forget", "more is left than one run takes; going on")
    console.line("forget", f"{found['userId']} is forgotten")


def scrape_token(stack_now: Target, file: Path) -> None:
    """Write the token with which Prometheus reads ``/metrics`` to a file that its owner alone may read."""
    secret = stack_now.outputs["ScrapeTokenArn"]
    token = stack_now.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(token)
    console.line("written", f"{file}; Prometheus sends it to {stack_now.api_url}/metrics")
