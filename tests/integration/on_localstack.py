"""The platform on LocalStack for the tests, as `make up-localstack` starts it, on free ports."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.client import Platform, free_ports
from tests.own_platform import ROOT

PROGRAM = "localstack.targets.localstack"


@dataclass(frozen=True)
class OnLocalStack(Platform):
    """What operates a stack (promote, redrive, recount) finds this one by its folder; a deployment is an `up`."""

    def command(self, *arguments: str) -> str:
        if arguments == ("deploy",):
            return self.run(PROGRAM, "up")
        return super().command(*arguments)

    def run(self, program: str, *arguments: str, **variables: str) -> str:
        if program != PROGRAM:
            variables = {"LOCAL_DIR": str(Path(self.environment["LOCAL_DIR"]) / "localstack")} | variables
        return super().run(program, *arguments, **variables)


@contextmanager
def running_on_localstack(home: Path, variables: Mapping[str, str]) -> Iterator[Platform]:
    """A platform on LocalStack, while it runs; what it keeps is in the folder ``home``."""
    api_port, aws_port = free_ports(2)
    environment = os.environ | {
        "LOCAL_DIR": str(home),
        "LOCALSTACK_API_PORT": str(api_port),
        "LOCALSTACK_PORT": str(aws_port),
        "BCRYPT_ROUNDS": "10",
        **variables,
    }
    running = OnLocalStack(environment, ROOT, api_port, aws_port)
    try:
        running.run(PROGRAM, "up")
        yield running
    finally:
        running.run(PROGRAM, "down")
