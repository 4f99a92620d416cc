"""The stack that a command works on: that of the platform on this machine, or one in the account of the shell."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from localstack import settings, stack
from localstack.commands import running_settings

LOCAL, AWS = TARGETS = ("local", "aws")
# A function runs for 15 minutes at most; asking twice would do the work twice.
_PATIENT = Config(read_timeout=920, connect_timeout=5, retries={"total_max_attempts": 1})


@dataclass(frozen=True)
class Target:
    """A deployed stack. ``running`` are the settings of the platform on this machine, None for AWS."""

    running: settings.Settings | None
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]

    @property
    def api_url(self) -> str:
        """Where clients find its API."""
        return self.running.api_url if self.running else self.outputs["ApiUrl"]

    @property
    def environment(self) -> dict[str, str]:
        """For a process that speaks to the stack's AWS."""
        return stack.command_environment(self.running) if self.running else dict(os.environ)

    def client(self, service: str) -> Any:
        """A boto3 client of where the stack is."""
        return _client(self.running, service)


def _client(running: settings.Settings | None, service: str) -> Any:
    if running:
        return stack.client(running, service, config=_PATIENT)
    return boto3.client(service, config=_PATIENT)  # type: ignore[call-overload]


def find(name: str, stack_name: str) -> Target:
    """The deployed stack of a name, on this machine or on AWS. Raises CommandFailed when nothing runs here."""
    running = running_settings(settings.load()) if name == LOCAL else None
    described = _client(running, "cloudformation").describe_stacks(StackName=stack_name)["Stacks"][0]
    return Target(
        running,
        {item["OutputKey"]: item["OutputValue"] for item in described.get("Outputs", ())},
        {item["ParameterKey"]: item["ParameterValue"] for item in described.get("Parameters", ())},
    )
