"""Put an edit live as it is saved: new code for the functions of one service, in place, with their log beside it.

A function that is edited in this way holds, in its own package, the sources of `functions` and of the layers that it
has; its own package comes before its layers, on AWS as well as here. The packages that the layers install are those of
the last deployment, and so is everything that the template says. The next deployment puts the stack's code back.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import py_compile
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from watchfiles import DefaultFilter, watch

from localstack import commands, functions_log, packages, services, stack
from localstack.console import CommandFailed, line
from localstack.settings import Settings

STEP_MILLISECONDS = 20  # without another change, and an edit is complete
DEBOUNCE_MILLISECONDS = 200
BEGIN_MILLISECONDS = 200
LOG_RETRY_SECONDS = 2.0


class SourceError(Exception):
    """A source that Python cannot compile; the text says where and why."""


@dataclass(frozen=True)
class _Compiled:
    changed: tuple[int, int]
    entries: tuple[tuple[str, bytes], ...]


class Sources:
    """The project's sources, as packages for functions; what has not changed is not compiled again."""

    def __init__(self, root: Path) -> None:
        self.functions = root / "functions"
        self.layers = root / "layers"
        self._compiled: dict[Path, _Compiled] = {}

    def services(self) -> list[str]:
        """The services that there are."""
        return sorted(path.parent.name for path in self.functions.glob("*/__init__.py"))

    def layer_of(self, layer_arn: str) -> str | None:
        """The folder of a deployed layer: `layers/core` is the template's CoreLayer."""
        name = layer_arn.split(":")[6]
        return next((path.name for path in self.layers.glob("*/") if name == stack.layer_name(path.name)), None)

    def package(self, folders: tuple[str, ...], layers: frozenset[str]) -> bytes:
        """The archive for functions in `folders` that have `layers`: all of `functions`, and the layers' own sources.

        Raises SourceError for a file of these folders and layers that does not compile. A function never imports
        another service, so a file of another one may be half-written.
        """
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=packages.FAST) as archive:
            for path, name in self._files(layers):
                strict = not path.is_relative_to(self.functions) or name.split("/")[0] not in (
                    set(self.services()) - set(folders)
                )
                for entry, data in self._entries(path, name, strict=strict):
                    information = zipfile.ZipInfo(entry, packages.EPOCH)
                    information.external_attr = 0o100644 << 16
                    information.compress_type = zipfile.ZIP_DEFLATED
                    archive.writestr(information, data)
        return content.getvalue()

    def _files(self, layers: frozenset[str]) -> Iterator[tuple[Path, str]]:
        for root in (self.functions, *(self.layers / name for name in sorted(layers))):
            for path in packages.files(root):
                # Beside a layer's own sources there are its makefile and its requirements.
                if root == self.functions or path.parent != root or path.suffix == ".py":
                    yield path, path.relative_to(root).as_posix()

    def _entries(self, path: Path, name: str, *, strict: bool) -> tuple[tuple[str, bytes], ...]:
        """A file, and its byte code: the folder is read-only, so each cold start would compile anew."""
        state = path.stat()
        changed = (state.st_mtime_ns, state.st_size)
        known = self._compiled.get(path)
        if known is not None and known.changed == changed:
            return known.entries
        entries: tuple[tuple[str, bytes], ...] = ((name, path.read_bytes()),)
        if path.suffix == ".py":
            try:
                entries = (*entries, _byte_code(path, name))
            except SourceError:
                if strict:
                    raise
                return entries
        self._compiled[path] = _Compiled(changed, entries)
        return entries


def _byte_code(path: Path, name: str) -> tuple[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "compiled.pyc"
        try:
            py_compile.compile(
                str(path),
                str(compiled),
                f"/var/task/{name}",
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except py_compile.PyCompileError as error:
            raise SourceError(_explain(path, error.exc_value)) from error
        cached = Path(importlib.util.cache_from_source(name))
        return cached.as_posix(), compiled.read_bytes()


def _explain(path: Path, error: BaseException) -> str:
    """`file:line: message` and the line itself, as editors and people read it."""
    if not isinstance(error, SyntaxError):
        return f"{path}: {error}"
    text = f"\n      {error.text.rstrip()}" if error.text else ""
    return f"{path}:{error.lineno or 1}: {error.msg}{text}"


class Functions:
    """The deployed functions of one service."""

    def __init__(self, settings: Settings, sources: Sources, service: str) -> None:
        self._settings = settings
        self._sources = sources
        self.folders = services.folders(service, sources.services())
        self._lambda = stack.client(settings, "lambda")

    def layers(self) -> dict[str, frozenset[str]]:
        """The service's functions, and the folders of the layers that each has."""
        return {name: layers for name, (_code, layers) in self._deployed().items()}

    def _deployed(self) -> dict[str, tuple[str, frozenset[str]]]:
        ours = {
            resource["PhysicalResourceId"]
            for resource in stack.resources(self._settings)
            if resource["ResourceType"] == "AWS::Lambda::Function"
        }
        pages = self._lambda.get_paginator("list_functions").paginate()
        return {
            function["FunctionName"]: (function["CodeSha256"], self._layers(function))
            for page in pages
            for function in page["Functions"]
            if function["FunctionName"] in ours and function["Handler"].split(".")[0] in self.folders
        }

    def _layers(self, function: Mapping[str, Any]) -> frozenset[str]:
        folders = (self._sources.layer_of(layer["Arn"]) for layer in function.get("Layers", []))
        return frozenset(folder for folder in folders if folder)

    def update(self) -> list[str]:
        """Give the functions the present sources; the names of those whose code was another one.

        Raises SourceError before anything is changed when a source does not compile.
        """
        deployed = self._deployed()
        archives = {
            layers: self._sources.package(self.folders, layers) for layers in {each for _, each in deployed.values()}
        }
        digests = {layers: packages.code_digest(content) for layers, content in archives.items()}
        outdated = [name for name, (code, layers) in deployed.items() if code != digests[layers]]
        if outdated:
            commands.mark_edited(self._settings)
        for name in outdated:
            self._lambda.update_function_code(FunctionName=name, ZipFile=archives[deployed[name][1]])
        return outdated


def _needs_deployment(path: Path, sources: Sources) -> bool:
    """Whether a change of the file is more than new code: the template, a layer's packages, a migration."""
    if path.is_relative_to(sources.functions):
        return False
    return path.suffix in (".sql", ".yaml", ".mk") or (path.parent.parent == sources.layers and path.suffix != ".py")


def _is_of_another_service(path: Path, sources: Sources, folders: tuple[str, ...]) -> bool:
    others = set(sources.services()) - set(folders)
    return path.is_relative_to(sources.functions) and path.relative_to(sources.functions).parts[0] in others


def _saved_at(changed: list[Path], noticed: float) -> float:
    """When the last of the files was saved; when it was noticed, for files that are gone."""
    times = []
    for path in changed:
        with contextlib.suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
    return min(max(times, default=noticed), noticed)


def _follow_log(settings: Settings, service: str) -> None:
    """Print the service's log until the process ends; wait for a platform that is being restarted."""
    while True:
        try:
            functions_log.show(settings, service, follow=True, minutes=0)
        except (BotoCoreError, ClientError, CommandFailed, OSError):
            time.sleep(LOG_RETRY_SECONDS)


def watch_service(settings: Settings, service: str) -> None:
    """Bring the platform up, then put each edit of the service's sources live, until interrupted."""
    sources = Sources(settings.template.parent)
    folders = services.folders(service, sources.services())
    commands.up(settings)
    functions = Functions(settings, sources, service)
    layers = sorted({layer for each in functions.layers().values() for layer in each})
    watched = [f"functions/{folder}" for folder in folders] + [f"layers/{layer}" for layer in layers]
    threading.Thread(target=_follow_log, args=(settings, service), daemon=True).start()
    try:
        for changes in _changes(sources, settings.template):
            ours = [path for path in changes if not _is_of_another_service(path, sources, folders)]
            if ours or not (changes or commands.is_deployed(settings)):
                _put_live(settings, sources, functions, ours)
            if not changes:
                line("watching", ", ".join(watched) + " (Ctrl-C ends it)")
    except KeyboardInterrupt:
        print()
        line("ended", "the edits stay live; `make deploy` makes them the stack's")


def _changes(sources: Sources, template: Path) -> Iterator[list[Path]]:
    """What changed, each time that something did; first, and once, nothing: from then on no change is missed."""
    paths = [path for path in (sources.functions, sources.layers, template) if path.exists()]
    begun = False
    for changes in watch(
        *paths,
        watch_filter=DefaultFilter(),
        step=STEP_MILLISECONDS,
        debounce=DEBOUNCE_MILLISECONDS,
        rust_timeout=BEGIN_MILLISECONDS,
        yield_on_timeout=True,
    ):
        if not begun:
            begun = True
            yield []
        changed = sorted({Path(path) for _kind, path in changes if not Path(path).is_dir()})
        if changed:
            yield changed


def _put_live(settings: Settings, sources: Sources, functions: Functions, changed: list[Path]) -> None:
    noticed = time.time()
    names = ", ".join(_shown(path, settings) for path in changed) or "what was edited since the deployment"
    if any(_needs_deployment(path, sources) for path in changed):
        line("not live", f"{names}: needs `make deploy`")
    try:
        with commands.alone(settings.home):
            updated = functions.update()
    except SourceError as error:
        line("not live", f"the code before it stays: {error}")
    except FileNotFoundError:
        return  # moved while it was read: that is a change of its own
    except (BotoCoreError, ClientError) as error:
        line("not live", f"{names}: {error} (is the platform running? make status)")
    else:
        if updated:
            seconds = time.time() - _saved_at(changed, noticed)
            count = f"{len(updated)} function{'s' if len(updated) > 1 else ''}"
            line("live", f"after {seconds:.1f} s, in {count}: {names}")


def _shown(path: Path, settings: Settings) -> str:
    return os.path.relpath(path, settings.template.parent)
