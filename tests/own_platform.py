"""A platform of the tests' own, as `make up` would start it, on free ports; and fake providers on loopback for it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.integration.client import Platform, free_ports

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def fake_providers() -> Iterator[dict[str, str]]:
    """Fake Pollinations, Google and OpenAI, while they run: their addresses, as settings of a platform."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fakes"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        urls = json.loads(process.stdout.readline())
        yield {
            "POLLINATIONS_URL": urls["pollinationsUrl"],
            "POLLINATIONS_KEYLESS_URL": urls["pollinationsKeylessUrl"],
            "POLLINATIONS_KEYLESS_TEXT_URL": urls["pollinationsKeylessTextUrl"],
            "GTTS_URL": urls["gttsUrl"],
            "OPENAI_URL": urls["openaiUrl"],
            # A language model takes its time on a processor.
            "CHAT_PROVIDERS": "openai,offline",
        }
        process.terminate()


@contextmanager
def running_platform(home: Path, variables: Mapping[str, str]) -> Iterator[Platform]:
    """A platform, while it runs; what it keeps is in the folder ``home``."""
    api_port, aws_port = free_ports(2)
    environment = os.environ | {
        "LOCAL_DIR": str(home),
        "API_PORT": str(api_port),
        "AWS_PORT": str(aws_port),
        "LEGACY_PORTS": "",
        "BCRYPT_ROUNDS": "10",
        **variables,
    }
    running = Platform(environment, ROOT, api_port, aws_port)
    try:
        running.command("up")
        yield running
    finally:
        running.command("down")
