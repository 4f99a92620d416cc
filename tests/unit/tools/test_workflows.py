"""The public workflows do nothing of their own: each step is an action or a target of the Makefile."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_step_is_an_action_or_one_make_target(path: Path) -> None:
    targets = {
        name
        for names in re.findall(r"^([a-z][a-z -]*):[^=]", (ROOT / "Makefile").read_text(), re.MULTILINE)
        for name in names.split()
    }
    workflow = yaml.safe_load(path.read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands
    for command in commands:
        make, target, *settings = command.split()
        assert (make, target in targets) == ("make", True), command
        assert all(re.fullmatch(r"[A-Z_]+=[\w-]+", setting) for setting in settings), command
    assert workflow["permissions"] == {"contents": "read"}
