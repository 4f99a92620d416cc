"""`sam build`, as printed in the README: what comes out is what was asked for, whatever was built before."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from localstack import settings, stack

from tests.integration.platform.platforms import ROOT

pytestmark = pytest.mark.needs("launcher")

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  PythonRuntime: {Type: String, Default: python3.13}
  Architecture: {Type: String, Default: x86_64}
Resources:
  OfflineLayer:
    Type: AWS::Serverless::LayerVersion
    Metadata: {BuildMethod: makefile}
    Properties: {ContentUri: layers/offline/}
"""
MAKEFILE = """
include $(dir $(abspath $(lastword $(MAKEFILE_LIST))))../layer.mk

build-OfflineLayer:
	mkdir -p $(ARTIFACTS_DIR)
	echo "$(OFFLINE_ENGINES) $(machine) $(wheels)" > $(ARTIFACTS_DIR)/asked
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one layer, which writes down what it was built for, and with this project's settings of SAM."""
    (tmp_path / "layers/offline").mkdir(parents=True)
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "layers/offline/Makefile").write_text(MAKEFILE)
    shutil.copy(ROOT / "layers/layer.mk", tmp_path / "layers")
    shutil.copy(ROOT / "samconfig.toml", tmp_path)
    return tmp_path


def sam_build(project: Path, **variables: str) -> str:
    """What the layer was built for by a plain `sam build`."""
    configured = settings.load({"SAM_TEMPLATE": str(project / "template.yaml")})
    environment = stack.command_environment(configured) | {"LAYER_TARGET": "lambda"} | variables
    done = subprocess.run(
        ["sam", "build"], cwd=project, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return (project / ".aws-sam/build/OfflineLayer/asked").read_text().strip()


def test_a_layer_is_built_for_what_the_environment_says_and_not_for_what_it_said_before(project: Path) -> None:
    empty = sam_build(project, PYTHON_RUNTIME="python3.13", ARCHITECTURE="arm64", OFFLINE_ENGINES="false")
    full = sam_build(project, PYTHON_RUNTIME="python3.11", ARCHITECTURE="x86_64", OFFLINE_ENGINES="true")

    assert empty == "false aarch64 manylinux_2_28"
    assert full == "true x86_64 manylinux_2_17"


def test_an_edit_of_what_all_layers_share_is_seen(project: Path) -> None:
    sam_build(project, PYTHON_RUNTIME="python3.13", ARCHITECTURE="arm64", OFFLINE_ENGINES="true")
    shared = project / "layers/layer.mk"
    shared.write_text(shared.read_text().replace("manylinux_2_28", "manylinux_2_34"))

    assert sam_build(project, PYTHON_RUNTIME="python3.13", ARCHITECTURE="arm64").endswith("manylinux_2_34")


def test_the_local_build_follows_the_environment_as_well(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = replace(settings.load({"SAM_TEMPLATE": str(project / "template.yaml")}), home=tmp_path / "home")
    built = []
    for wanted in ("false", "true"):
        monkeypatch.setenv("OFFLINE_ENGINES", wanted)
        stack.sam_build(configured, configured.home / "build")
        built.append((configured.home / "build/OfflineLayer/asked").read_text().split()[0])

    assert built == ["false", "true"]


@pytest.mark.parametrize(
    ("layer", "runtime", "architecture", "package"),
    [
        ("accounts", "python3.11", "arm64", "psycopg2"),
        ("offline", "python3.11", "arm64", "pillow"),
        ("offline", "python3.11", "x86_64", "pillow"),
        ("accounts", "python3.11", "x86_64", None),
        ("accounts", "python3.12", "arm64", None),
        ("offline", "python3.12", "arm64", None),
        ("offline", "python3.13", "x86_64", None),
    ],
)
def test_a_layer_that_lambda_has_no_wheels_for_says_so(
    layer: str, runtime: str, architecture: str, package: str | None, tmp_path: Path
) -> None:
    """Asked with `make --dry-run` where it can be built, which would take a network."""
    options = [] if package else ["--dry-run"]
    variables = {"PYTHON_RUNTIME": runtime, "ARCHITECTURE": architecture, "OFFLINE_ENGINES": "true"}
    done = subprocess.run(
        ["make", *options, f"build-{stack.layer_name(layer)}", f"ARTIFACTS_DIR={tmp_path}", "LAYER_TARGET=lambda"],
        cwd=ROOT / "layers" / layer, env=os.environ | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode == 0) is (package is None), done.stderr
    assert ("has no wheel" in done.stdout + done.stderr) is (package is not None)
    if package:
        assert f"{package} has no wheel for Python 3.11 on {architecture} Lambda" in done.stderr
