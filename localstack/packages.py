"""Pack what `sam build` made, once for each content: `sam deploy` would zip every layer anew at every deployment."""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from pathlib import Path
from typing import Any

import yaml

FUNCTION = "AWS::Serverless::Function"
LAYER = "AWS::Serverless::LayerVersion"
EPOCH = (1980, 1, 1, 0, 0, 0)
FAST = 1


def files(folder: Path) -> list[Path]:
    """A folder's files, without the byte code that running them left."""
    return [path for path in _all_files(folder) if "__pycache__" not in path.parts]


def _all_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def digest(folder: Path) -> str:
    """The digest of a folder's content, byte code apart: names, contents, and which files are executable."""
    return _digest(folder, files(folder))


def _digest(folder: Path, content: list[Path]) -> str:
    state = hashlib.sha256()
    for path in content:
        data = path.read_bytes()
        state.update(f"{path.relative_to(folder)}\0{os.access(path, os.X_OK)}\0{len(data)}\0".encode())
        state.update(data)
    return state.hexdigest()


def code_digest(content: bytes) -> str:
    """An archive's digest as Lambda writes it, CodeSha256."""
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def function_archives(packed_template: Path) -> dict[str, Path]:
    """The archive of each function of a packed template, by its logical name."""
    template: dict[str, Any] = yaml.safe_load(packed_template.read_text())
    return {
        name: Path(resource["Properties"]["CodeUri"])
        for name, resource in template["Resources"].items()
        if resource["Type"] == FUNCTION
    }


def _zip(folder: Path, content: list[Path], archive: Path) -> None:
    temporary = archive.with_suffix(f".{os.getpid()}")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=FAST) as output:
        for path in content:
            entry = zipfile.ZipInfo(str(path.relative_to(folder)), EPOCH)
            entry.external_attr = (0o100755 if os.access(path, os.X_OK) else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            output.writestr(entry, path.read_bytes())
    temporary.replace(archive)


def pack(built_template: Path, functions: Path) -> Path:
    """Replace the folders of the built template by archives; the path of the template that names them.

    All functions share one folder. The same content gives the same archive, so that an unchanged layer is neither
    packed nor uploaded again.
    """
    archives = built_template.parent.parent / "packages"
    archives.mkdir(exist_ok=True)
    template: dict[str, Any] = yaml.safe_load(built_template.read_text())
    packed: dict[Path, Path] = {}
    for resource in template["Resources"].values():
        kind, properties = resource["Type"], resource.get("Properties", {})
        if kind == FUNCTION:
            properties["CodeUri"] = str(_archive(functions, archives, packed))
        elif kind == LAYER:
            folder = built_template.parent / properties["ContentUri"]
            properties["ContentUri"] = str(_archive(folder, archives, packed))
    for stale in set(archives.iterdir()) - set(packed.values()):
        stale.unlink()
    result = built_template.with_name("packed.yaml")
    result.write_text(yaml.safe_dump(template, sort_keys=False))
    return result


def _archive(folder: Path, archives: Path, packed: dict[Path, Path]) -> Path:
    if folder not in packed:
        content = _all_files(folder)
        packed[folder] = archives / f"{_digest(folder, content)}.zip"
        if not packed[folder].exists():
            _zip(folder, content, packed[folder])
    return packed[folder]
