"""The tables of the documentation are what they tell of."""

import re
import subprocess
from pathlib import Path

import pytest
from tests.unit.functions.template import template
from tools import commands
from tools.docs import __main__ as docs
from tools.docs import tables
from tools.sources import FUNCTIONS, ROOT

from generation import services

SERVICES = [service.name for service in services.found(FUNCTIONS)]


def written(name: str) -> str:
    return tables.written(f"Before.\n\n<!-- {name} -->\nold\n<!-- end -->\n\nBehind.\n")


def test_a_table_is_written_between_its_markers_and_nothing_else_is_touched() -> None:
    text = written("limits")
    assert text.startswith("Before.\n\n<!-- limits -->\n\n| calls |")
    assert text.endswith("|\n\n<!-- end -->\n\nBehind.\n")
    assert "old" not in text
    assert tables.written(text) == text


def test_a_marker_of_no_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        written("nothing")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("table", ["services", "services in es", "routes", "limits"])
def test_every_service_is_in_every_table(table: str, service: str) -> None:
    assert f"`POST /{service}/generate`" in written(table)


def test_every_parameter_is_in_its_table_with_its_default() -> None:
    text = written("parameters")
    for name, parameter in template()["Parameters"].items():
        default = parameter.get("Default")
        shown = "must be given" if default is None else f"`{default}`" if default != "" else ""
        assert f"| `{name}` | {shown} |".replace("|  |", "| |") in text


def test_every_command_that_make_lists_is_in_its_table() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^  ([a-z][\w-]*) +", listed, re.MULTILINE))
    text = written("commands")
    documented = re.findall(r"`make ([\w<>-]+)`", text)
    assert {"up", "test", "logs-<service>", "dev-<service>"} <= set(documented)
    # A row of the table stands for what the list has for each service.
    assert targets == {name for target in documented for name in commands.names(target.replace("<service>", "%"))}


@pytest.mark.parametrize("stale", [True, False])
def test_the_check_tells_of_a_page_that_is_stale(stale: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- limits -->\n<!-- end -->\n" if stale else written("limits"))
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    assert docs.main(["check"]) == (1 if stale else 0)
    assert docs.main(["write"]) == 0
    assert docs.main(["check"]) == 0
