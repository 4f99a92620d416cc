"""The law of the layers covers every folder of functions."""

import configparser
from pathlib import Path
from typing import Any

import pytest
from tools import import_rules
from tools.sources import FUNCTIONS


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> configparser.ConfigParser:
    """What import-linter is asked to check."""
    asked: list[str] = []

    def lint(*, config_filename: str, **_options: Any) -> int:
        asked.append(Path(config_filename).read_text())
        return 0

    monkeypatch.setattr(import_rules, "lint_imports", lint)
    assert import_rules.main() == 0
    parsed = configparser.ConfigParser()
    parsed.read_string(asked[0])
    return parsed


def test_every_folder_of_functions_is_checked(config: configparser.ConfigParser) -> None:
    folders = {path.parent.name for path in FUNCTIONS.glob("*/__init__.py")}
    assert folders <= set(config["importlinter"]["root_packages"].split())
    layers = config["importlinter:contract:layers"]["layers"].split("\n")
    assert folders == set(layers[1].split(" | "))


def test_each_folder_is_kept_from_the_other_plane(config: configparser.ConfigParser) -> None:
    sources = {
        name: set(config[name]["source_modules"].split())
        for name in config.sections()
        if config[name].get("type") == "forbidden"
    }
    accounts = sources["importlinter:contract:the-accounts-plane-does-not-know-s3-or-providers"]
    generation = sources["importlinter:contract:the-generation-plane-does-not-know-postgresql"]
    assert accounts == {"auth", "users", "accounts"}
    assert {"image", "tts", "generation", "offline"} <= generation
    assert not accounts & generation
