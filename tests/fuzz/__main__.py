"""Fuzz the API: `python -m tests.fuzz [--seconds 600] [--seed 7]`; exits with 0 when nothing was found.

Starts a platform as the integration tests do (free ports, fake providers, no network), and lets schemathesis call what
the served description tells, half of the time with tokens and half without one. What was found is printed with the
`curl` command that shows it.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.fuzz.users import NAMES, token_server
from tests.own_platform import ROOT, fake_providers, running_platform
from tests.services import SERVICES

CONFIGURATION = Path(__file__).with_name("schemathesis.toml").read_text()
HOOKS = Path(__file__).with_name("hooks.py")
# The users must not see what belongs to each other.
WITH_TOKENS = f"""
[auth.wfc]
path = "authentication.json"
peers = {json.dumps(NAMES)}
refresh_interval = 300
"""
# Limits have tests of their own; here they would only hide what is behind them.
OF_SERVICES = [f"{service.name.upper()}{kind}" for service in SERVICES for kind in ("", "_ANONYMOUS")]
LIMITED = ("REGISTER", "LOGIN", *OF_SERVICES, "DEFAULT")
LIMITS = {f"{name}_RATE_LIMIT": "1000000" for name in LIMITED}
FUZZER = ROOT / ".local/fuzz/venv/bin/schemathesis"
# Less, and the functions' cold starts leave no time for the later phases.
LEAST_SECONDS = 60


def main() -> int:
    """Start the platform, fuzz it twice, stop it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the API of a local platform.")
    parser.add_argument("--seconds", type=int, default=120, help="how long, without the start of the platform (120)")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="repeat a run")
    parser.add_argument("--fuzzer", type=Path, default=FUZZER, help="the command of schemathesis")
    wanted = parser.parse_args()
    seconds = max(LEAST_SECONDS, wanted.seconds // 2)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        home = Path(folder)
        print("  platform      starting", flush=True)
        with (
            fake_providers() as fakes,
            running_platform(home / "platform", fakes | LIMITS) as platform,
            token_server(platform.api_url) as tokens,
        ):
            (home / "authentication.json").write_text(json.dumps(logins(tokens)))
            (home / "anonymous.toml").write_text(CONFIGURATION)
            (home / "tokens.toml").write_text(CONFIGURATION + WITH_TOKENS)
            run = ["run", f"{platform.api_url}/openapi.json", "--checks=all"]
            run += [f"--max-time={seconds}", f"--seed={wanted.seed}"]
            found = {
                name: call([str(wanted.fuzzer), f"--config-file={name}.toml", *run], home)
                for name in ("tokens", "anonymous")
            }
    for name, code in found.items():
        print(f"  fuzz          {name}, {seconds} s, seed {wanted.seed}: {'nothing found' if code == 0 else 'FAILED'}")
    return int(any(found.values()))


def logins(tokens: Mapping[str, str]) -> dict[str, object]:
    """How to get the tokens of the users, as Web Fuzzing Commons write it."""
    token = {"extractFrom": "body", "extractSelector": "/token", "sendIn": "header", "sendName": "Authorization"}
    return {
        "auth": [
            {
                "name": name,
                "loginEndpointAuth": {
                    "verb": "POST",
                    "externalEndpointURL": tokens[name],
                    "token": token | {"sendTemplate": "Bearer {token}"},
                },
            }
            for name in NAMES
        ]
    }


def call(command: list[str], folder: Path) -> int:
    """Run a command that prints its progress; its exit code."""
    print("$", *command, flush=True)
    environment = os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)}
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
