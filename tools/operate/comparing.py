"""What the commands that compare have in common: a function of the stack does the work, and its findings are shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from localstack import console
from localstack.console import CommandFailed

from tools.operate.target import Target

SHOWN = 20


def ask(stack_now: Target, function: str, order: Mapping[str, Any]) -> dict[str, Any]:
    """What the function that an output of the stack names answers. Raises CommandFailed with what it says is wrong."""
    answer = stack_now.client("lambda").invoke(
        FunctionName=stack_now.outputs[function], Payload=json.dumps(order).encode()
    )
    content = json.loads(answer["Payload"].read())
    if "FunctionError" in answer or "errorMessage" in content:
        raise CommandFailed("asking", str(content.get("errorMessage", content)), "check the options, then the logs")
    outcome: dict[str, Any] = content
    return outcome


def show(found: Mapping[str, Sequence[str]], kinds: Mapping[str, str]) -> int:
    """Print the first findings of each kind, in words; how many there are."""
    for kind, names in found.items():
        if names:
            console.line("", f"{len(names)} {kinds[kind]} ({kind})")
            for name in names[:SHOWN]:
                console.line("", f"  {name}")
            if len(names) > SHOWN:
                console.line("", f"  and {len(names) - SHOWN} more")
    return sum(map(len, found.values()))
