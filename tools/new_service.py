"""Follow docs/adding-a-service.md in a copy of the repository: ``python -m tools.new_service``.

Each block of the page that names a file is written, each block of commands is run, on a platform of the copy's own.
Then the tests that all services share run there. Fails when a step does, and when the service costs more than it may.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from localstack import ports

from tools.sources import ROOT

PAGE = Path("docs/adding-a-service.md")
MOST_LINES = 150
MOST_EDITED = 3
# What `make` writes; nobody edits it, and the linter fails when it is not what its sources say.
GENERATED = ("template.yaml", "functions/ops/openapi.json", "README.md", "README.es.md", "docs/")
# The suites over all services of the registry, unit and integration.
CONTRACT = ("tests/unit/**/test_contract*.py", "tests/integration/**/test_contract*.py")
_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The environments of the repository are the copy's, so nothing has to be installed anew.
_SHARED = (".venv", ".local/platform", ".local/layer-cache")
_MAKE = 'make() { command make -o environment -o environments "$@"; }'


@dataclass(frozen=True)
class Cost:
    """What was written by hand: lines by folder, and the files that were there before."""

    lines: Mapping[str, int]
    edited: Sequence[str]

    @property
    def is_fine(self) -> bool:
        """Whether it is within what a service may cost."""
        return sum(self.lines.values()) <= MOST_LINES and len(self.edited) <= MOST_EDITED


class Failed(Exception):
    """A step of the page failed."""


def blocks(page: str) -> Iterator[tuple[str, str | None, str]]:
    """Language, file and content of the page's blocks, in order."""
    return ((match[1], match[2], match[3]) for match in _BLOCK.finditer(page))


def write_files(page: str, copy: Path) -> None:
    """Write each file that the page prints."""
    for _, name, content in blocks(page):
        if name:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_text(content)


def cost(copy: Path) -> Cost:
    """What differs from the copy's commit, told by git before anything is generated."""
    _run(["git", "add", "--all", "--intent-to-add"], copy)
    lines: dict[str, int] = {}
    for entry in _run(["git", "diff", "--numstat", "--no-renames"], copy).splitlines():
        added, _, name = entry.split("\t")
        folder = str(Path(name).parent)
        lines[folder] = lines.get(folder, 0) + int(added)
    return Cost(lines, _run(["git", "diff", "--name-only", "--diff-filter=M"], copy).splitlines())


def generated(copy: Path) -> list[str]:
    """The files that were there before and that the commands of the page have written."""
    return _run(["git", "diff", "--name-only", "--diff-filter=M"], copy).splitlines()


@contextmanager
def copied() -> Iterator[Path]:
    """The working tree as a repository of its own, with one commit."""
    with tempfile.TemporaryDirectory(prefix="new-service-") as folder:
        copy = Path(folder).resolve()
        listed = _run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT)
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
        _run(["git", "init", "--quiet"], copy)
        _run(["git", "add", "--all"], copy)
        nobody = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.com", "-c", "commit.gpgsign=false"]
        _run(["git", *nobody, "commit", "--quiet", "--no-verify", "--message", "As it is"], copy)
        (ROOT / ".local/layer-cache").mkdir(parents=True, exist_ok=True)
        (copy / ".local").mkdir(exist_ok=True)
        for name in _SHARED:
            (copy / name).symlink_to(ROOT / name)
        # .gitignore means the folder, here it is a link.
        (copy / ".git/info/exclude").write_text("/.venv\n")
        if (ROOT / ".mypy_cache").exists():
            shutil.copytree(ROOT / ".mypy_cache", copy / ".mypy_cache")
        yield copy


def _run(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def _step(what: str, command: Sequence[str], copy: Path, environ: Mapping[str, str]) -> str:
    start = time.monotonic()
    done = subprocess.run(  # noqa: S603
        command, cwd=copy, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        raise Failed(f"{what}\n{done.stdout}")
    print(f"  ran           {what} ({time.monotonic() - start:.0f} s)", flush=True)
    return done.stdout


def follow(copy: Path) -> Cost:
    """Do as the page says; what it cost. Raises ``Failed``."""
    page = (copy / PAGE).read_text()
    write_files(page, copy)
    spent = cost(copy)
    api_port, aws_port = ports.free(2)
    environ = os.environ | {
        "API_PORT": str(api_port),
        "AWS_PORT": str(aws_port),
        "LEGACY_PORTS": "",
        "LOCAL_DIR": str(copy / ".local/echo"),
        "BCRYPT_ROUNDS": "10",
        "NO_PROXY": "localhost",
        "no_proxy": "localhost",
    }
    for variable in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        environ.pop(variable, None)
    try:
        for language, name, content in blocks(page):
            if language == "bash" and not name:
                script = content.replace("localhost:3000", f"localhost:{api_port}")
                what = content.splitlines()[0] + (" …" if "\n" in content.rstrip() else "")
                _step(what, ["bash", "-euo", "pipefail", "-c", f"{_MAKE}\n{script}"], copy, environ)
        surprising = [name for name in generated(copy) if not name.startswith(GENERATED) and name not in spent.edited]
        if surprising:
            raise Failed(f"the commands changed what nobody generates: {', '.join(surprising)}")
        made = [name for name in generated(copy) if name not in spent.edited]
        print(f"  not counted   {', '.join(made)}: generated, not written by hand")
    finally:
        _step("make down", ["bash", "-c", f"{_MAKE}\nmake down"], copy, environ)
    for pattern in CONTRACT:
        suite = [str(path.relative_to(copy)) for path in sorted(copy.glob(pattern))]
        if suite:
            folder = f"--basetemp={copy / '.local/pytest'}"
            command = [".venv/bin/python", "-m", "pytest", "-q", "-n", "2", folder, *suite]
            told = _step(f"pytest {' '.join(suite)}", command, copy, environ)
            print(f"                {told.splitlines()[-1].strip('= ')}")
    return spent


def main() -> int:
    """Follow the page; 1 when a step fails or the service costs too much."""
    start = time.monotonic()
    try:
        with copied() as copy:
            spent = follow(copy)
    except Failed as failure:
        print(f"\n  failed        {failure}", file=sys.stderr)
        return 1
    print("\n  A service costs, written by hand:")
    for folder, lines in spent.lines.items():
        print(f"  {lines:5} lines   {folder}")
    print(f"  {sum(spent.lines.values()):5} lines   in all; {MOST_LINES} at most")
    print(f"  {len(spent.edited):5} files   that were there before are edited; {MOST_EDITED} at most")
    print(f"  in {time.monotonic() - start:.0f} s")
    return 0 if spent.is_fine else 1


if __name__ == "__main__":
    sys.exit(main())
