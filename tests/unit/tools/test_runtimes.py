import sys
from pathlib import Path

import pytest
from tools import runtimes

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A machine without any Python: nothing on the path, no pyenv."""
    return {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}


def put(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def python(path: Path) -> Path:
    return put(path, f'exec "{sys.executable}" "$@"')


def found(environ: dict[str, str], version: str = HERE) -> Path | None:
    interpreter = runtimes.interpreter(version, environ)
    return interpreter and interpreter.path


def test_a_python_on_the_path_is_found(environ: dict[str, str], tmp_path: Path) -> None:
    path = python(tmp_path / f"bin/python{HERE}")
    assert found(environ) == path


@pytest.mark.parametrize("script", ["exit 127", "echo 3.9"])
def test_a_name_on_the_path_that_is_no_such_python_is_passed_over_for_one_of_pyenv(
    environ: dict[str, str], tmp_path: Path, script: str
) -> None:
    put(tmp_path / f"bin/python{HERE}", script)
    path = python(tmp_path / f".pyenv/versions/{HERE}.7/bin/python")
    assert found(environ) == path


def test_pyenv_may_be_elsewhere(environ: dict[str, str], tmp_path: Path) -> None:
    path = python(tmp_path / f"elsewhere/versions/{HERE}.7/bin/python")
    assert found(environ | {"PYENV_ROOT": str(tmp_path / "elsewhere")}) == path


def test_a_version_that_nobody_has_is_missing(environ: dict[str, str]) -> None:
    assert found(environ, "3.99") is None


def test_a_missing_version_is_told_and_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runtimes, "VERSIONS", (HERE, "3.99"))
    assert runtimes.main([]) == 0
    assert capsys.readouterr().out == "  runtime       3.99 is not on this machine: not tested\n"
