"""The processes in which the embedded platform runs its functions, and an end to them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from tests.integration.client import Platform


@contextmanager
def time_limit(platform: Platform, function: str, seconds: int) -> Iterator[None]:
    """Let a function run for so long, until the end of the block."""
    client, name = platform.aws("lambda"), platform.resource(function)
    before = client.get_function_configuration(FunctionName=name)["Timeout"]
    client.update_function_configuration(FunctionName=name, Timeout=seconds)
    try:
        yield
    finally:
        client.update_function_configuration(FunctionName=name, Timeout=before)


def workers(launcher: int, function: str) -> list[psutil.Process]:
    """The processes that run a function (its logical id) on the platform of this launcher, and on no other."""
    # Not its children: environments that are copies belong to nobody when what they were copied from has ended.
    of_the_platform = psutil.Process(launcher).environ()["TMPDIR"]
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            environment = process.environ()
            if environment.get("TMPDIR") == of_the_platform and function in environment.get(
                "AWS_LAMBDA_FUNCTION_NAME", ""
            ):
                found.append(process)
    return found


def kill_workers(platform: Platform, function: str) -> int:
    """End the processes that run a function; how many."""
    killed = 0
    for worker in workers(json.loads(platform.command("describe"))["pid"], function):
        with suppress(psutil.NoSuchProcess):
            worker.kill()
            killed += 1
    return killed
