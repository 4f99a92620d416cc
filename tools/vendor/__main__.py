"""``python -m tools.vendor``: fetch the packages that functions/console/vendor/packages.json pins, take their files.

npm fetches them. Each is pinned by its version and by the digest that npm publishes of it, which is checked here. What
is taken is what was published, but for the names of other packages, which a browser does not know, and for addresses
of source maps.
"""

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.sources import FUNCTIONS

FOLDER = FUNCTIONS / "console" / "vendor"
PACKAGES = FOLDER / "packages.json"
ICONS = "icons.js"
_BARE = re.compile(r"""(\bfrom\s*)(["'])([a-z][a-z-]*)\2""")
_SOURCE_MAP = re.compile(r"\n?//# sourceMappingURL=.*\s*$")


class Broken(Exception):
    """A package is not what its digest says, or lacks what is to be taken."""


def main() -> int:
    """Write the files; 1 when a package is not the one that is pinned."""
    packages: dict[str, dict[str, Any]] = json.loads(PACKAGES.read_text())
    try:
        files = dict(file for name, told in packages.items() for file in taken(name, told, archive(name, told)))
    except (Broken, subprocess.CalledProcessError) as error:
        print(f"  vendor          {error}", file=sys.stderr)
        return 1
    for old in FOLDER.iterdir():
        if old != PACKAGES:
            old.unlink()
    for name, text in files.items():
        (FOLDER / name).write_text(text)
    print(f"  vendor          wrote {len(files)} files of {len(packages)} packages")
    return 0


def archive(name: str, told: Mapping[str, Any]) -> bytes:
    """The package as npm has it. Raises ``Broken`` when its digest is another one."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--pack-destination", folder, f"{name}@{told['version']}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        (packed,) = Path(folder).glob("*.tgz")
        content = packed.read_bytes()
    kind, _, digest = str(told["integrity"]).partition("-")
    if base64.b64encode(hashlib.new(kind, content).digest()).decode() != digest:
        raise Broken(f"{name} {told['version']} is not what its integrity in {PACKAGES.name} says")
    return content


def taken(name: str, told: Mapping[str, Any], content: bytes) -> Iterator[tuple[str, str]]:
    """What is kept of a package: names with texts. Raises ``Broken`` for what it lacks."""
    with tarfile.open(fileobj=io.BytesIO(content)) as opened:

        def read(path: str) -> str:
            try:
                member = opened.extractfile(f"package/{path}")
            except KeyError:
                member = None
            if member is None:
                raise Broken(f"{name} {told['version']} has no {path}")
            return member.read().decode()

        for path, kept in told["files"].items():
            yield kept, for_a_browser(read(path)) if kept.endswith(".js") else read(path)
        if "icons" in told:
            yield ICONS, icons(json.loads(read("icon-nodes.json")), told["icons"])


def for_a_browser(script: str) -> str:
    """The script with other packages named by their files, and without the address of a map that is not here."""
    return _SOURCE_MAP.sub("\n", _BARE.sub(r"\1\2./\3.js\2", script))


def icons(nodes: Mapping[str, Any], names: list[str]) -> str:
    """A script with the shapes of these icons, by name. Raises ``Broken`` for one that there is not."""
    missing = sorted(set(names) - set(nodes))
    if missing:
        raise Broken(f"there is no icon {', '.join(missing)}")
    lines = [f" {json.dumps(name)}: {json.dumps(nodes[name], separators=(',', ':'))}," for name in names]
    return "// Icons of Lucide (lucide.LICENSE), drawn with strokes in a square of 24.\n" + "\n".join(
        ["export default {", *lines, "};", ""]
    )


if __name__ == "__main__":
    sys.exit(main())
