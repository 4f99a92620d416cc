"""What the check of the walk-through counts, and that the walk-through is whole."""

import subprocess
from pathlib import Path

import pytest
from tools import new_service
from tools.new_service import Cost
from tools.sources import ROOT

PAGE = (ROOT / new_service.PAGE).read_text()
FILE = "```python functions/echo/get.py\nhandler = 1\n```\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    (tmp_path / "old.py").write_text("one\ntwo\n")
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.com", "-c", "commit.gpgsign=false"]
    for command in (["init", "--quiet"], ["add", "--all"], [*identity, "commit", "--quiet", "--message", "old"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def test_what_is_written_by_hand_is_counted_by_folder(repository: Path) -> None:
    new_service.write_files(f"Words.\n\n{FILE}\n```bash\nmake up\n```\n", repository)
    (repository / "old.py").write_text("one\nthree\nfour\n")
    assert new_service.cost(repository) == Cost({"functions/echo": 1, ".": 2}, ["old.py"])


@pytest.mark.parametrize(
    ("cost", "fine"),
    [
        (Cost({"a": 100, "b": 50}, ["1", "2", "3"]), True),
        (Cost({"a": 100, "b": 51}, []), False),
        (Cost({"a": 1}, ["1", "2", "3", "4"]), False),
    ],
)
def test_a_service_that_costs_too_much_fails(cost: Cost, fine: bool) -> None:
    assert cost.is_fine is fine


def test_the_walk_through_prints_each_function_of_a_service() -> None:
    printed = {name for _, name, _ in new_service.blocks(PAGE) if name}
    others = {path.name for path in (ROOT / "functions/tts").glob("*.py")}
    assert {Path(name).name for name in printed if name.startswith("functions/echo/")} == others
