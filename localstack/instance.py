"""The running platform of a home folder: whether it runs, where it listens, and how to end it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import psutil

from localstack import environments
from localstack.processes import wait_for_end
from localstack.settings import Settings

STOP_SECONDS = 60


@dataclass(frozen=True)
class Description:
    """What a running platform says about itself."""

    pid: int
    api_port: int
    aws_port: int
    program: str
    legacy_ports: tuple[int, ...] = ()
    # What was asked for; less when others had some of them.
    legacy_ports_wanted: tuple[int, ...] = ()


def program_digest() -> str:
    """What the platform's process is made of: our modules and its packages. A process with another one is outdated."""
    digest = hashlib.sha256()
    stamps = [environment.stamp for environment in (environments.platform(), environments.functions())]
    for path in [*sorted(Path(__file__).parent.rglob("*.py")), *stamps]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Instance:
    """The platform of one home folder. It runs while a process holds the lock, whatever the pid file says."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.lock_file = home / "run" / "platform.lock"
        self.description_file = home / "run" / "platform.json"
        self.endpoint_file = home / "state" / "endpoint.json"
        self.lock_file.parent.mkdir(parents=True, exist_ok=True)

    def is_running(self) -> bool:
        """Whether a process holds the platform's lock. The system drops the lock with the process, also on kill -9."""
        with self.lock_file.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def describe(self, pid: int, settings: Settings, legacy_ports: Sequence[int]) -> None:
        """Write down where the platform listens."""
        content = {
            "pid": pid,
            "api_port": settings.api_port,
            "aws_port": settings.aws_port,
            "program": program_digest(),
            "legacy_ports": list(legacy_ports),
            "legacy_ports_wanted": list(settings.legacy_ports),
        }
        temporary = self.description_file.with_suffix(".tmp")
        temporary.write_text(json.dumps(content))
        os.replace(temporary, self.description_file)

    def description(self) -> Description | None:
        """Where the running platform listens; None when it does not run."""
        try:
            content = json.loads(self.description_file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        known = {field.name: content.get(field.name, "") for field in fields(Description)}
        known |= {name: tuple(known[name]) for name in ("legacy_ports", "legacy_ports_wanted")}
        return Description(**known) if self.is_running() else None

    def forget(self) -> None:
        """Remove the description of a platform that has ended."""
        self.description_file.unlink(missing_ok=True)

    def stop(self) -> bool:
        """End the platform's process and wait for it; whether there was one."""
        described = self.description()
        if described is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(described.pid)
            process.terminate()
            if not wait_for_end(process, STOP_SECONDS):
                process.kill()
                wait_for_end(process, STOP_SECONDS)
        self.forget()
        return True
