"""``python -m tools.browser``: install Debian's Chromium for the tests of the console, where apt is there and may.

With ``--fonts`` also what shows other scripts in pictures of it. Where it cannot, it says why, and is no error.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
FONTS = {"fonts-noto-core": "/usr/share/fonts/truetype/noto", "fonts-noto-cjk": "/usr/share/fonts/opentype/noto"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Install what is missing; always 0."""
    parser = argparse.ArgumentParser(prog="python -m tools.browser", description=__doc__)
    parser.add_argument("--fonts", action="store_true", help="fonts of other scripts, too")
    options = parser.parse_args(arguments)
    packages = [] if os.environ.get("CHROMIUM") or any(map(shutil.which, NAMES)) else ["chromium"]
    if options.fonts:
        packages += [name for name, folder in FONTS.items() if not Path(folder).exists()]
    if not packages:
        return 0
    why_not = _install(packages)
    if why_not:
        print(f"  browser       {', '.join(packages)}: {why_not}", file=sys.stderr)
        print("  what to do    apt-get install chromium, or say in CHROMIUM where one is", file=sys.stderr)
    else:
        print(f"  browser       installed {', '.join(packages)}")
    return 0


def _install(packages: Sequence[str]) -> str | None:
    """Why they could not be installed; None when they were."""
    apt = shutil.which("apt-get")
    if apt is None:
        return "not installed, there is no apt-get here"
    if os.geteuid() != 0:
        return "not installed, that takes root"
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in ([apt, "update", "-qq"], [apt, "install", "-qq", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            return f"not installed: {(done.stderr.strip().splitlines() or ['apt-get failed'])[-1]}"
    return None


if __name__ == "__main__":
    sys.exit(main())
