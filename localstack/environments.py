"""Create the virtual environments, with nothing but the standard library: run by the machine's own Python.

`.venv` builds, deploys and tests. `.local/platform/venv` runs MiniStack and PostgreSQL. `.local/platform/lambda` holds
what AWS Lambda's Python brings by itself and runs the functions, so that a dependency that a layer forgot is missing
here as well. `.local/fuzz/venv` is made when somebody fuzzes, `.local/query/venv` when somebody asks in SQL,
`.local/bench/venv` for what benchmarks compare with, `.local/runtimes` when the tests run on other Pythons.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from localstack import console

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Interpreter:
    """A Python of the machine; ``build`` tells it from others of its version, ``3.12``."""

    path: Path
    version: str
    build: str


HERE = Interpreter(
    Path(sys.executable), f"{sys.version_info.major}.{sys.version_info.minor}", f"{sys.version}\n{sys.base_prefix}"
)


@dataclass(frozen=True)
class Environment:
    """A virtual environment, the lock files that it is made from, and the Python that makes it."""

    name: str
    folder: Path
    locks: tuple[Path, ...]
    interpreter: Interpreter = HERE

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def stamp(self) -> Path:
        """The file that says what the environment was made from."""
        return self.folder / ".stamp"


def development(root: Path = ROOT) -> Environment:
    """The environment of the commands: SAM, tests, linters."""
    return Environment(".venv", root / ".venv", (root / "requirements/uv.txt", root / "requirements/dev.txt"))


def platform(root: Path = ROOT) -> Environment:
    """The environment of the platform's own process."""
    return Environment("platform", root / ".local/platform/venv", (root / "requirements/platform.txt",))


def functions(root: Path = ROOT) -> Environment:
    """The environment of the functions: Python and boto3, as on Lambda."""
    return Environment("lambda", root / ".local/platform/lambda", (root / "requirements/lambda.txt",))


def fuzzer(root: Path = ROOT) -> Environment:
    """The environment of schemathesis, whose requirements those of the commands contradict."""
    return Environment("fuzz", root / ".local/fuzz/venv", (root / "requirements/fuzz.txt",))


def questions(root: Path = ROOT) -> Environment:
    """The environment of DuckDB, which answers questions in SQL."""
    return Environment("query", root / ".local/query/venv", (root / "requirements/query.txt",))


def benchmarks(root: Path = ROOT) -> Environment:
    """The environment of the plain container that benchmarks compare with."""
    return Environment("bench", root / ".local/bench/venv", (root / "requirements/bench.txt",))


def runtime(interpreter: Interpreter, root: Path = ROOT) -> Environment:
    """The environment of the unit tests on another Python."""
    name, folder = f"python{interpreter.version}", root / ".local/runtimes" / interpreter.version
    return Environment(name, folder, development(root).locks, interpreter)


def fingerprint(environment: Environment) -> str:
    """What the environment depends on: its lock files, the interpreter, and where it lies (scripts hold the path)."""
    digest = hashlib.sha256(f"{environment.interpreter.build}\n{environment.folder}\n".encode())
    for lock in environment.locks:
        digest.update(lock.read_bytes())
    return digest.hexdigest()


def is_current(environment: Environment) -> bool:
    """Whether the environment exists and was made from these very lock files."""
    stamp = environment.stamp
    return environment.python.exists() and stamp.exists() and stamp.read_text() == fingerprint(environment)


def _run(command: Sequence[str | Path], log: Path) -> bool:
    with log.open("a") as output:
        print("$", *command, file=output, flush=True)
        done = subprocess.run([str(word) for word in command], stdout=output, stderr=output, check=False)
    return done.returncode == 0


def _failed(environment: Environment, why: str, log: Path) -> console.CommandFailed:
    return console.CommandFailed(
        f"environment {environment.name}",
        why,
        "check the network and the proxy settings of pip, then run the same command again",
        log=log,
    )


def _create(environment: Environment, log: Path) -> None:
    shutil.rmtree(environment.folder, ignore_errors=True)
    environment.folder.parent.mkdir(parents=True, exist_ok=True)
    python = environment.interpreter.path
    if not _run([python, "-m", "venv", environment.folder], log):
        raise console.CommandFailed(
            f"environment {environment.name}",
            f"{python} cannot create virtual environments (venv or ensurepip is missing)",
            f"install it (Debian, Ubuntu: apt install python3-venv) or choose another Python: "
            f"PYTHON=python3.12 make {os.environ.get('MAKE_TARGET', 'up')}",
            log=log,
        )


def _create_bare(environment: Environment, uv: Path, log: Path) -> None:
    """Without pip and setuptools: faster, and functions do not find them either."""
    shutil.rmtree(environment.folder, ignore_errors=True)
    environment.folder.parent.mkdir(parents=True, exist_ok=True)
    if not _run(
        [uv, "venv", "--quiet", "--no-project", "--python", environment.interpreter.path, environment.folder], log
    ):
        _create(environment, log)


def _install(environment: Environment, uv: Path, log: Path) -> None:
    """Install the lock files with uv; with pip where uv cannot reach an index that only pip's configuration names."""
    command: list[str | Path] = [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", environment.python]
    if _run([*command, *environment.locks], log):
        return
    locks = [option for lock in environment.locks for option in ("-r", str(lock))]
    if not _run([environment.python, "-m", "ensurepip"], log) or not _run([*_pip(environment), *locks], log):
        raise _failed(environment, "its packages could not be installed, neither by uv nor by pip", log)


def _pip(environment: Environment) -> list[str | Path]:
    """The command that installs locked packages with the environment's own pip."""
    install: list[str | Path] = [environment.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # The locks are whole, but for what requirements/excluded.in names.
    return [*install, "--require-hashes", "--no-deps"]


def _install_uv(environment: Environment, lock: Path, log: Path) -> None:
    if not _run([*_pip(environment), "-r", lock], log):
        raise _failed(environment, "uv could not be installed by pip", log)


def ensure(environments: Sequence[Environment], root: Path = ROOT) -> None:
    """Make the environments what their lock files say; costs nothing when they are.

    Raises CommandFailed when a package cannot be installed.
    """
    log = root / ".local/logs/environments.log"
    uv = development(root).folder / "bin" / "uv"
    for environment in environments:
        if is_current(environment):
            continue
        log.parent.mkdir(parents=True, exist_ok=True)
        with console.step("environment", f"{environment.name}: installing packages") as step:
            if environment == development(root):
                _create(environment, log)
                _install_uv(environment, root / "requirements/uv.txt", log)
            else:
                _create_bare(environment, uv, log)
            _install(environment, uv, log)
            environment.stamp.write_text(fingerprint(environment))
            step.note = f"{environment.name} ready"


def main(arguments: Sequence[str] | None = None) -> int:
    """Create the named environments; those of every day when none is named."""
    everyday = {"dev": development, "platform": platform, "lambda": functions}
    makers = {**everyday, "fuzz": fuzzer, "query": questions, "bench": benchmarks}
    parser = argparse.ArgumentParser(prog="localstack.environments", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(makers))
    names = parser.parse_args(arguments).names or list(everyday)
    try:
        ensure([makers[name]() for name in names])
    except console.CommandFailed as failure:
        console.report_failure(failure)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
