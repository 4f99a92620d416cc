"""A platform to fuzz: of its own, on free ports, with fake providers on loopback."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.client import Platform, free_ports

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def running_platform(home: Path) -> Iterator[Platform]:
    """The platform, while it runs; what it keeps is in a folder below ``home``."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fakes"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as fakes:
        assert fakes.stdout is not None
        urls = json.loads(fakes.stdout.readline())
        api_port, aws_port = free_ports(2)
        environment = os.environ | {
            "LOCAL_DIR": str(home / "platform"),
            "API_PORT": str(api_port),
            "AWS_PORT": str(aws_port),
            "BCRYPT_ROUNDS": "10",
            "POLLINATIONS_URL": urls["pollinationsUrl"],
            "POLLINATIONS_KEYLESS_URL": urls["pollinationsKeylessUrl"],
            "GTTS_URL": urls["gttsUrl"],
            # Limits have tests of their own; here they would only hide what is behind them.
            **{f"{name}_RATE_LIMIT": "1000000" for name in LIMITS},
        }
        running = Platform(environment, ROOT, api_port, aws_port)
        try:
            running.command("up")
            yield running
        finally:
            running.command("down")
            fakes.terminate()


LIMITS = ("REGISTER", "LOGIN", "IMAGE", "IMAGE_ANONYMOUS", "SPEECH", "SPEECH_ANONYMOUS", "DEFAULT")
