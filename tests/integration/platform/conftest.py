"""Platforms for the tests of this folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.platform.platforms import SAMPLE, Platform


@pytest.fixture(scope="session")
def sample_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sample project that tests may edit."""
    folder = tmp_path_factory.mktemp("project") / "sample"
    shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory, sample_project: Path) -> Iterator[Platform]:
    """The sample project, up and running for all tests of the session."""
    platform = Platform(tmp_path_factory.mktemp("home"), sample_project / "template.yaml")
    platform.variables = {"GREETING": "there", "DEVELOPERS_SECRET": "not for functions", "LOG_LEVEL": "ERROR"}
    started = platform.run("up")
    assert started.returncode == 0, started.stderr
    yield platform
    platform.run("down")


@pytest.fixture
def running(deployed: Platform) -> Platform:
    """The deployed platform, started again when the test before left it down."""
    if not deployed.is_healthy():
        started = deployed.run("up")
        assert started.returncode == 0, started.stderr
    return deployed
