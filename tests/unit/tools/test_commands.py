"""What `make help` prints, and what asking for the services leaves behind."""

import os
import subprocess
import sys
from pathlib import Path

from localstack import services
from tools import commands

ROOT = Path(commands.__file__).resolve().parents[1]
MAKEFILE = """
up down: environment ## start or stop
test: ## everything
test-%: environment ## one part
logs-%: ## one service
hidden:
"""


def test_a_rule_for_each_service_is_shown_for_each_by_all_its_names() -> None:
    shown = dict(commands.commands(MAKEFILE))

    generating = {word for service in services.generating() for word in (service.name, *service.aliases)}
    assert generating
    assert {name for name in shown if name.startswith("test-")} == {
        f"test-{part}" for part in generating | {"auth", "protected"}
    }
    assert {name for name in shown if name.startswith("logs-")} == {f"logs-{word}" for word in services.words()}
    assert {f"logs-{area.name}" for area in services.areas()} <= set(shown)
    assert (shown["up"], shown["down"], shown["test"]) == ("start or stop", "start or stop", "everything")
    assert "hidden" not in shown


def test_help_needs_python_alone_and_writes_no_byte_code_among_the_sources(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-S", "-m", "tools.commands"],
        cwd=ROOT,
        env=environment | {"PYTHONPYCACHEPREFIX": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "up " in done.stdout
    ours = tmp_path / ROOT.relative_to("/")
    assert list(ours.rglob("*.pyc"))
    assert [path for folder in ("functions", "layers") for path in (ours / folder).rglob("*.pyc")] == []
