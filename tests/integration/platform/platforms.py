"""Start, question and end a platform of a test's own: its folder, its ports, its template."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = Path(__file__).parent / "sample"


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Platform:
    """A platform under test; the commands are those of the Makefile's targets."""

    home: Path
    template: Path
    api_port: int = field(default_factory=free_port)
    aws_port: int = field(default_factory=free_port)
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m localstack COMMAND` and return its output and status."""
        return subprocess.run(
            [sys.executable, "-m", "localstack", *command],
            cwd=ROOT,
            env=self._environment() | variables,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command that goes on until it is interrupted; its output and errors are one stream."""
        return subprocess.Popen(
            [sys.executable, "-u", "-m", "localstack", *command],
            cwd=ROOT,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A shell starts what it leaves in the background with interrupts ignored, and so all that it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "LOCAL_DIR": str(self.home),
            "SAM_TEMPLATE": str(self.template),
            "API_PORT": str(self.api_port),
            "AWS_PORT": str(self.aws_port),
            "LEGACY_PORTS": "",
            **self.variables,
        }

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Call the API."""
        return self.call(f"http://127.0.0.1:{self.api_port}{path}", method, **headers)

    @staticmethod
    def call(url: str, method: str = "GET", **headers: str) -> Answer:
        """Call an address; an error status is an answer too."""
        request = urllib.request.Request(url, method=method)  # noqa: S310
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as response:
                return Answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def is_healthy(self) -> bool:
        """Whether the API answers."""
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False

    @property
    def pid(self) -> int:
        """The process id of the running platform."""
        return int(json.loads((self.home / "run" / "platform.json").read_text())["pid"])

    def processes(self) -> list[psutil.Process]:
        """All processes that belong to this platform: its own, PostgreSQL's, the functions'."""
        found = []
        for process in psutil.process_iter():
            try:
                mentioned = any(str(self.home) in word for word in process.cmdline())
                inside = process.cwd().startswith(str(self.home))
            except psutil.Error:
                continue
            if (mentioned or inside) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found
