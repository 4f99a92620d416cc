"""Run the unit tests at odd moments: `python -m tests.clock [argument of pytest …]`.

A small library, compiled here and preloaded, moves the wall clock of the tests and of all that they start; nothing
else of the machine. Every test begins 50 ms before midnight, and time goes on.
"""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from localstack import console
from localstack.environments import HERE
from tools import runtimes

SOURCE = Path(__file__).with_name("wall_clock.c")
ROOT = SOURCE.parents[2]
# Zones are written out: a machine need not have their names.
MOMENTS = {
    "the end of 29 February, before the dates in the tests": ("2024-02-29T23:59:59.950+00:00", "UTC0"),
    "the end of a year, which ended in Kathmandu long ago": ("2027-12-31T23:59:59.950+00:00", "<+0545>-5:45"),
    "29 February, soon also in New York, after 32 bits": ("2040-02-29T04:59:59.950+00:00", "EST5"),
}


def compiler() -> str | None:
    """The C compiler of this machine."""
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def library(folder: Path) -> Path:
    """The compiled library. Raises SystemExit where there can be none."""
    command = compiler()
    if command is None or sys.platform != "linux":
        sys.exit(
            "  clock         to move the clock of the tests takes Linux and a C compiler (apt install gcc libc6-dev)"
        )
    # When root tests, PostgreSQL's processes are another user's, who must get there.
    folder.chmod(0o755)
    path = folder / "wall_clock.so"
    subprocess.run([command, "-O1", "-Wall", "-shared", "-fPIC", SOURCE, "-o", path, "-ldl"], check=True)
    return path


def main(arguments: list[str]) -> int:
    """Run the tests at each moment, on another Python each time as far as there are more; 0 when all are green."""
    failed = []
    with tempfile.TemporaryDirectory(prefix="wall-clock-") as folder:
        preloaded = library(Path(folder))
        pythons = itertools.cycle([(HERE.version, Path(sys.executable)), *runtimes.others()])
        for (name, (moment, zone)), (version, python) in zip(MOMENTS.items(), pythons, strict=False):
            console.line("clock", f"{moment} TZ={zone} Python {version}: {name}")
            environment = os.environ | {"MOMENT": moment, "TZ": zone, "LD_PRELOAD": str(preloaded)}
            command = [str(python), "-m", "pytest", "-p", "tests.clock.moving", *(arguments or ["tests/unit"])]
            if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
                failed.append(f"{moment} on {version}")
    if failed:
        print(f"  clock         red at {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
