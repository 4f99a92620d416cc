"""Each function imports with Python, the boto3 that Lambda brings, and the layers that it declares; nothing else.

A process of its own runs without site-packages, so the development environment is out of its sight. The packages of
each layer are installed once, from its lock file, and kept in .local/test-layers.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from generation.services import Service
from tests import events, tokens
from tests.services import NAMES, SERVICES
from tests.unit.functions.template import ROOT, Function, functions

CACHE = ROOT / ".local" / "test-layers"
LAMBDA = ROOT / "requirements" / "lambda.txt"
CLOCK = ("LD_PRELOAD", "WALL_CLOCK")

IMPORT = """
import importlib, json
module = importlib.import_module(call["module"])
print(json.dumps({"callable": callable(module.handler), "modules": sorted(sys.modules)}))
"""
FIND = """
import importlib.util, json
print(json.dumps([name for name in call["names"] if importlib.util.find_spec(name)]))
"""
WALK = """
import importlib, json, pkgutil
package = importlib.import_module(call["package"])
names = [found.name for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
print(json.dumps([importlib.import_module(name).__name__ for name in names]))
"""
AUTHORIZE = """
import json
from auth.authorizer import handler
answer = handler(call["event"], None)
print(json.dumps({"answer": answer, "modules": sorted(sys.modules)}))
"""
LOAD = """
import json
from generation import chain
import importlib
service = importlib.import_module(f"{call['service']}.service").SERVICE
print(json.dumps([provider.name for provider in chain.load(service, call["names"], {})]))
"""


def uv() -> list[str]:
    """The installer: beside this Python, on the path, or as a module."""
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    return [found] if found else [sys.executable, "-m", "uv"]


@lru_cache
def packages(lock: Path) -> Path:
    """A folder with exactly the packages of a lock file."""
    digest = hashlib.sha256(f"{sys.version}\n{lock.read_text()}".encode()).hexdigest()[:16]
    folder = CACHE / f"{lock.parent.name}-{digest}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as unfinished:
            target = Path(unfinished) / "packages"
            install = ["pip", "install", "--quiet", "--python", sys.executable, "--target", str(target)]
            locked = ["--no-deps", "--require-hashes", "--compile-bytecode", "--requirement", str(lock)]
            # By the machine's own clock, or certificates would be over, or not begun: `make test-clock`.
            true = {name: value for name, value in os.environ.items() if name not in CLOCK}
            subprocess.run([*uv(), *install, *locked], env=true, check=True)
            target.rename(folder)
    return folder


def layer_path(layer: str) -> list[Path]:
    """What a layer puts on the path: its own package and its packages."""
    folder = ROOT / "layers" / layer
    return [folder, packages(folder / "requirements.txt")]


def path_of(layers: Iterable[str]) -> list[Path]:
    return [ROOT / "functions", *(entry for layer in layers for entry in layer_path(layer)), packages(LAMBDA)]


def run(
    code: str, path: Sequence[Path], variables: dict[str, str] | None = None, **call: Any
) -> "subprocess.CompletedProcess[str]":
    """Run code in a Python that sees the standard library and this path only."""
    # -I: no variables of Python, no user's packages. -S: no site-packages. Byte code is kept, apart from the sources.
    # What moves the clock of this process must move the child's: `make test-clock`.
    clock = {name: os.environ[name] for name in CLOCK if name in os.environ}
    start = f"import sys; sys.path[:0] = {[str(entry) for entry in path]!r}; call = {call!r}\n"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-X", f"pycache_prefix={CACHE / 'byte-code'}", "-c", start + code],
        env={"AWS_DEFAULT_REGION": "us-east-1", "HOME": "/nonexistent", **clock, **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )


def result(code: str, path: Sequence[Path], variables: dict[str, str] | None = None, **call: Any) -> Any:
    done = run(code, path, variables, **call)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@lru_cache
def imported(function: Function) -> Any:
    """What importing the function's module gives."""
    return result(IMPORT, path_of(function.layers), dict(function.variables), module=function.module)


@lru_cache
def in_sight(layers: tuple[str, ...], names: tuple[str, ...]) -> Any:
    """Which of these packages could be imported beside these layers."""
    return result(FIND, path_of(layers), names=names)


@pytest.mark.parametrize("module", functions())
def test_a_function_imports_with_the_layers_it_declares(module: str) -> None:
    assert imported(functions()[module])["callable"]


@pytest.mark.parametrize("layer", ["core", "accounts", "generation", "web"])
def test_every_module_of_a_layer_imports_beside_core(layer: str) -> None:
    assert result(WALK, path_of({"core": None, layer: None}), package=layer)


def test_the_development_environment_is_out_of_sight() -> None:
    names = ["pytest", "moto", "samcli", "hypothesis", "psycopg2", "requests", "PIL", "generation", "accounts"]
    assert in_sight(("core",), (*names, "boto3", "core")) == ["boto3", "core"]


def test_a_function_without_its_layer_does_not_import() -> None:
    register = functions()["auth.register"]
    done = run(IMPORT, path_of(["core"]), dict(register.variables), module=register.module)
    assert done.returncode == 1
    assert "No module named 'accounts'" in done.stderr


def test_a_function_without_a_package_of_its_layer_does_not_import() -> None:
    register = functions()["auth.register"]
    path = [entry for entry in path_of(register.layers) if not entry.name.startswith("accounts-")]
    done = run(IMPORT, path, dict(register.variables), module=register.module)
    assert done.returncode == 1
    assert "No module named 'bcrypt'" in done.stderr or "No module named 'psycopg2'" in done.stderr


@pytest.mark.parametrize("module", [name for name in functions() if name.partition(".")[0] in NAMES])
def test_no_generation_function_has_a_way_to_the_database(module: str) -> None:
    function = functions()[module]
    assert not {"psycopg2", "accounts", "bcrypt"} & set(imported(function)["modules"])
    assert in_sight(tuple(function.layers), ("psycopg2", "accounts", "bcrypt")) == []


@pytest.mark.parametrize("module", [name for name in functions() if name.startswith(("auth.", "users."))])
def test_no_accounts_function_has_a_way_to_the_providers(module: str) -> None:
    function = functions()[module]
    foreign = ("requests", "gtts", "PIL", "generation", "offline")
    assert not set(foreign) & set(imported(function)["modules"])
    assert in_sight(tuple(function.layers), foreign) == []


@pytest.mark.parametrize("module", [name for name in functions() if name.startswith(("auth.", "users."))])
def test_an_accounts_function_does_not_wait_for_boto3_before_it_needs_it(module: str) -> None:
    assert "boto3" not in imported(functions()[module])["modules"]


def test_the_authorizer_decides_with_neither_boto3_nor_pydantic_nor_a_resolver() -> None:
    variables = {
        "JWKS": json.dumps(tokens.jwks()),
        "TOKEN_ISSUER": tokens.ISSUER,
        "TOKEN_AUDIENCE": tokens.AUDIENCE,
    }
    event = events.token_authorizer(f"Bearer {tokens.access_token()}")
    answer = result(AUTHORIZE, path_of(functions()["auth.authorizer"].layers), variables, event=event)
    assert answer["answer"]["policyDocument"]["Statement"][0]["Effect"] == "Allow"
    heavy = {"boto3", "botocore", "pydantic", "aws_lambda_powertools", "psycopg2", "requests"}
    assert not heavy & set(answer["modules"])


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_on_lambda_a_start_loads_what_the_first_generation_needs(service: Service) -> None:
    function = functions()[f"{service.name}.generate"]
    asked, _, _ = next(iter(service.providers.values())).partition(":")
    of_the_stack = dict(function.variables) | {"PROVIDERS": next(iter(service.providers))}
    needed = {"jwt", "cryptography", asked}
    assert not needed & set(result(IMPORT, path_of(function.layers), of_the_stack, module=function.module)["modules"])
    of_the_stack |= {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "JWKS": json.dumps(tokens.jwks())}
    of_the_stack |= {"TOKEN_ISSUER": tokens.ISSUER, "TOKEN_AUDIENCE": tokens.AUDIENCE}
    assert needed <= set(result(IMPORT, path_of(function.layers), of_the_stack, module=function.module)["modules"])


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_providers_load_with_the_layers_of_their_function_and_offline_engines_not_without_theirs(
    service: Service,
) -> None:
    layers, names = functions()[f"{service.name}.generate"].layers, list(service.providers)
    assert result(LOAD, path_of(layers), service=service.name, names=names) == names
    # What needs no layer of its own is there without those of the engines.
    always = [name for name in names if service.providers[name].startswith("generation.")]
    plane = [layer for layer in layers if layer in ("core", "generation")]
    assert result(LOAD, path_of(plane), service=service.name, names=always) == always
    done = run(LOAD, path_of(plane), service=service.name, names=names)
    assert done.returncode == 1
    assert "attach it or take the name out" in done.stderr
