"""What keeps a function in a container away from any real AWS account: its endpoint, its credentials, no proxy.

SAM hands to containers what the shell, a profile or the machine's role has for credentials, and overrides only
variables that the template declares; so every function declares all of these, and the file for `--env-vars`, which
beats the shell, has them again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from localstack.console import CommandFailed
from localstack.packages import FUNCTION
from localstack.settings import ACCESS_KEY, REGION, SECRET_KEY

# Of Lambda's own variables a function may set these: they choose no endpoint and no credentials.
HARMLESS = ("AWS_LAMBDA_EXEC_WRAPPER",)


def variables(endpoint: str) -> dict[str, str]:
    """The variables that every function must have; ``endpoint`` is the emulator as containers reach it."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_SESSION_TOKEN": "",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Docker's own settings may give containers a proxy.
        "NO_PROXY": "*",
        "no_proxy": "*",
    }


def require(template: Mapping[str, Any], overrides: Mapping[str, Mapping[str, str]], endpoint: str) -> None:
    """Raise CommandFailed for a function that lacks one of them, or could choose another endpoint or credentials."""
    for name, resource in template["Resources"].items():
        if resource["Type"] != FUNCTION:
            continue
        declared = resource["Properties"].get("Environment", {}).get("Variables", {})
        wrong = sorted({*_wrong(declared, endpoint), *_wrong(overrides.get(name, {}), endpoint)})
        if wrong:
            raise CommandFailed(
                "sam local",
                f"{name} would not be kept on this machine: {', '.join(wrong)}",
                "take these variables out of the template",
            )


def _wrong(own: Mapping[str, Any], endpoint: str) -> Iterable[str]:
    needed = variables(endpoint)
    for name, value in needed.items():
        if own.get(name) != value:
            yield name
    for name in own:
        if name.upper().startswith("AWS_") and name not in needed and name not in HARMLESS:
            yield name
