"""The platform behind SAM's local gateway for the tests, as `make sam-local` starts it, on free ports. Needs Docker."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests.integration.client import Platform, eventually, free_ports
from tests.own_platform import running_platform


@dataclass
class Gateway:
    """`make sam-local` before a platform that runs. What it and the functions print is in ``log``."""

    behind: Platform
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "localstack", "sam-local", "--port", str(self.port)],
                cwd=self.behind.root, env=dict(self.behind.environment), stdout=output, stderr=output,
            )  # fmt: skip
        self.process = process
        eventually(lambda: process.poll() is not None or self._answers())
        assert process.poll() is None, self.log.read_text()

    def _answers(self) -> bool:
        with suppress(requests.ConnectionError):
            return requests.get(f"http://localhost:{self.port}/no/such/route", timeout=60).status_code == 403
        return False

    def stop(self) -> None:
        """End it, and so its containers."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


def apart(line: str) -> Iterator[str]:
    """What stands on a line of SAM's: its threads print at once, so that something may follow what a function logged."""
    while line.startswith("{"):
        try:
            _, end = json.JSONDecoder().raw_decode(line)
        except ValueError:
            break
        yield line[:end]
        line = line[end:]
    if line:
        yield line


@dataclass(frozen=True)
class OnSamLocal(Platform):
    """The API is SAM's; all else is the embedded platform's behind it."""

    gateway: Gateway | None = None

    @contextmanager
    def variables(self, *functions: str, **changes: str) -> Iterator[None]:
        """Containers have the variables that the stack had when SAM was started."""
        try:
            with super().variables(*functions, **changes):
                self._restart()
                yield
        finally:
            self._restart()

    def logged(self) -> Iterator[str]:
        """Also what the functions in containers have logged, which SAM prints; the line that it prints now may end yet."""
        assert self.gateway is not None
        yield from super().logged()
        for line in self.gateway.log.read_text(errors="replace").split("\n")[:-1]:
            yield from apart(line)

    def _restart(self) -> None:
        assert self.gateway is not None
        self.gateway.stop()
        self.gateway.start()


@contextmanager
def running_on_sam_local(home: Path, variables: Mapping[str, str]) -> Iterator[Platform]:
    """SAM's local gateway before a platform of its own, while it runs; what both keep is in the folder ``home``."""
    (port,) = free_ports(1)
    with running_platform(home, variables) as behind:
        gateway = Gateway(behind, port, home / "logs" / "sam-local.log")  # beside the logs of the platform
        try:
            gateway.start()
            yield OnSamLocal(behind.environment, behind.root, port, behind.aws_port, gateway=gateway)
        finally:
            gateway.stop()
