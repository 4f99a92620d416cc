"""The template and the variables with which `sam local start-api` serves what is deployed."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from localstack import packages
from localstack.console import CommandFailed
from localstack.packages import FUNCTION, LAYER
from localstack.sam_local import isolation
from localstack.settings import REGION

Variables = dict[str, dict[str, str]]

# Something that serves on this machine's loopback, such as a server of language models.
LOOPBACK = re.compile(r"(?<=http://)(?:localhost|127\.0\.0\.1):(\d+)(?=/|$)")


@dataclass(frozen=True)
class Deployed:
    """What the running stack knows and a template does not: its parameters, and each function's variables."""

    parameters: Mapping[str, str]
    variables: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Addresses:
    """Where containers, and clients, find the platform."""

    endpoint: str  # AWS, for containers
    public_s3: str  # for whoever gets a signed URL
    database_secret: str  # ARN of the connection string for containers
    forwarded: Callable[[int], str]  # "host:port" for containers, of a port of this machine's loopback


def variables(deployed: Deployed, addresses: Addresses) -> Variables:
    """Each function's variables: those that it is deployed with, with what containers reach in place of loopback."""
    found: Variables = {}
    for name, own in deployed.variables.items():
        reached = {
            key: LOOPBACK.sub(lambda match: addresses.forwarded(int(match[1])), value) for key, value in own.items()
        }
        if "DATABASE_SECRET_ARN" in own:
            reached["DATABASE_SECRET_ARN"] = addresses.database_secret
        if "S3_PUBLIC_ENDPOINT" in own:
            reached["S3_PUBLIC_ENDPOINT"] = addresses.public_s3
        found[name] = reached | isolation.variables(addresses.endpoint)
    return found


@dataclass(frozen=True)
class Layers:
    """The built layers as SAM takes published ones: by an ARN that tells the content, from SAM's cache.

    SAM makes an image of a layer that it finds in the template anew for each function and at each start. With these it
    makes one for each set of layers, and keeps it until the content of one is another.
    """

    cache: Path
    folders: Mapping[str, Path]  # by ARN
    arns: Mapping[str, str]  # by logical name

    def place(self) -> None:
        """Put them where SAM would keep what it has fetched, so that it never asks AWS for one."""
        # SAM takes longer to import than all other commands to run.
        from samcli.lib.providers.provider import LayerVersion  # type: ignore[import-untyped]

        shutil.rmtree(self.cache, ignore_errors=True)
        self.cache.mkdir(parents=True)
        for arn, folder in self.folders.items():
            (self.cache / LayerVersion(arn, None).name).symlink_to(folder.resolve(strict=True))


def layers(built: Mapping[str, Any], folder: Path, cache: Path) -> Layers:
    """The layers of the built template, which stand in ``folder``."""
    folders = {
        name: folder / resource["Properties"]["ContentUri"]
        for name, resource in built["Resources"].items()
        if resource["Type"] == LAYER
    }
    arns = {
        name: f"arn:aws:lambda:{REGION}:000000000000:layer:{name}-{packages.digest(content)}:1"
        for name, content in folders.items()
    }
    return Layers(cache, {arns[name]: content for name, content in folders.items()}, arns)


def template(
    built: Mapping[str, Any], code: Path, layers: Mapping[str, str], parameters: Mapping[str, str], own: Variables
) -> Any:
    """The built template with what SAM cannot find out by itself.

    ``code`` has the functions, and ``layers`` the ARNs of layers by their names. Parameters have the stack's values,
    since SAM knows no stack. Functions declare all variables of ``own``: SAM overrides only what is declared, and knows
    no values of custom resources. Raises CommandFailed for a function that is not deployed.
    """
    derived = copy.deepcopy(dict(built))
    for name, value in parameters.items():
        if name in derived.get("Parameters", {}):
            derived["Parameters"][name]["Default"] = value
    for name, resource in derived["Resources"].items():
        if resource["Type"] != FUNCTION:
            continue
        if name not in own:
            raise CommandFailed("sam local", f"{name} is not deployed", "run `make deploy`")
        properties = resource["Properties"]
        properties["CodeUri"] = str(code)
        properties["Environment"] = {"Variables": dict(own[name])}
        if "Layers" in properties:
            properties["Layers"] = [layers[layer["Ref"]] for layer in properties["Layers"]]
    return derived


def write(path: Path, text: str) -> None:
    """Write a file that only its owner reads: it has the keys that verify tokens, and addresses of secrets."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(text)


@dataclass(frozen=True)
class Files:
    """What SAM is given."""

    folder: Path

    @property
    def template(self) -> Path:
        """The derived template."""
        return self.folder / "template.yaml"

    @property
    def layers(self) -> Path:
        """SAM's cache of layers."""
        return self.folder / "layers"

    @property
    def variables(self) -> Path:
        """The functions' variables once more: SAM prefers its shell's to the template's, and these to its shell's."""
        return self.folder / "variables.json"

    def write(self, derived: Mapping[str, Any], own: Variables) -> None:
        """Write both."""
        write(self.template, yaml.safe_dump(dict(derived), sort_keys=False))
        write(self.variables, json.dumps(own, indent=2))

    def require_isolation(self, endpoint: str) -> None:
        """Raise CommandFailed unless what was written keeps every function on this machine."""
        isolation.require(yaml.safe_load(self.template.read_text()), json.loads(self.variables.read_text()), endpoint)
