"""Run the unit tests on the other Pythons that Lambda has and this machine, too: `python -m tools.runtimes [-n 2 …]`.

A Python is looked for on the path, among pyenv's, and where uv looks; one that is missing is told in a line.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from localstack import console, environments
from localstack.environments import HERE, ROOT, Interpreter

VERSIONS = ("3.11", "3.12", "3.13")
_ASK = "import sys; print(sys.version_info.major, sys.version_info.minor, sep='.'); print(sys.version, sys.base_prefix)"


def candidates(version: str, environ: Mapping[str, str]) -> Iterator[Path]:
    """Where a Python of the version may be."""
    if found := shutil.which(f"python{version}", path=environ.get("PATH", "")):
        yield Path(found)
    pyenv = Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME", "/")) / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python"))
    if uv := shutil.which("uv", path=str(Path(sys.executable).parent)):
        command = [uv, "python", "find", "--no-project", "--no-python-downloads", version]
        if path := _output(command, environ):
            yield Path(path.strip())


def interpreter(version: str, environ: Mapping[str, str]) -> Interpreter | None:
    """The first Python of the version that runs: pyenv has a `python3.12` on the path that may be none."""
    for path in candidates(version, environ):
        told = _output([str(path), "-c", _ASK], environ) or ""
        answered, _, build = told.partition("\n")
        if answered == version:
            return Interpreter(path, version, build)
    return None


def _output(command: Sequence[str], environ: Mapping[str, str]) -> str | None:
    try:
        done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def others() -> Iterator[tuple[str, Path]]:
    """The other versions with an environment to test in; says which are missing. Raises CommandFailed."""
    for version in VERSIONS:
        if version == HERE.version:
            continue
        found = interpreter(version, os.environ)
        if found is None:
            console.line("runtime", f"{version} is not on this machine: not tested")
            continue
        environment = environments.runtime(found)
        environments.ensure([environment])
        yield version, environment.python


def main(arguments: Sequence[str]) -> int:
    """Run the tests on each; 0 when all are green."""
    failed = []
    try:
        for version, python in others():
            console.line("runtime", f"{version}: {python.relative_to(ROOT)}")
            command = [str(python), "-m", "pytest", *(arguments or ["tests/unit"])]
            if subprocess.run(command, cwd=ROOT, check=False).returncode:  # noqa: S603
                failed.append(version)
    except console.CommandFailed as failure:
        console.report_failure(failure)
        return 1
    if failed:
        print(f"  runtime       red on {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
