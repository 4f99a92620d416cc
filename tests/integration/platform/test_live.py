"""`make dev-<service>`: an edit is live as it is saved, with the log beside it; `make deploy` knows nothing of it."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.integration.platform.platforms import Platform

pytestmark = pytest.mark.needs("launcher")

LONGEST_SECONDS = 120


class Watch:
    """A running `python -m localstack dev`, and what it printed."""

    def __init__(self, process: subprocess.Popen[str], output: IO[str]) -> None:
        self.process = process
        self.output = output

    def until(self, pattern: str) -> str:
        """Read on until a line matches, and return it; an end of the output is a failure."""
        seen = []
        for line in self.output:
            seen.append(line)
            if re.search(pattern, line):
                return line
        raise AssertionError(f"no line with {pattern}:\n{''.join(seen)}")

    def interrupt(self) -> str:
        """Ctrl-C; the rest of the output."""
        self.process.send_signal(signal.SIGINT)
        return self.output.read()


@contextmanager
def dev(platform: Platform, service: str) -> Iterator[Watch]:
    with platform.start("dev", service) as process:
        assert process.stdout is not None
        # Whoever waits for a line that never comes gets the end of the output.
        end = threading.Timer(LONGEST_SECONDS, process.kill)
        end.start()
        try:
            yield Watch(process, process.stdout)
        finally:
            end.cancel()
            process.kill()


@pytest.fixture
def sources(sample_project: Path) -> Iterator[Path]:
    """The project, whose sources are in the end as they were."""
    files = [path for folder in ("functions", "layers") for path in (sample_project / folder).rglob("*.py")]
    before = {path: path.read_text() for path in files}
    yield sample_project
    for path, text in before.items():
        path.write_text(text)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def greeting(platform: Platform, path: str = "/healthz", **headers: str) -> str:
    return str(platform.get(path, **headers).json()["greeting"])


def test_an_edit_of_a_function_or_of_its_layer_is_live_beside_its_log(running: Platform, sources: Path) -> None:
    with dev(running, "sample") as watch:
        watch.until("watching .*functions/sample, layers/sample")
        before = greeting(running)

        edit(sources / "functions/sample/public.py", 'os.environ["GREETING"]', '"edited"')
        assert "functions/sample/public.py" in watch.until(r"live +after \d+\.\d s")
        assert greeting(running) == before.replace("there", "edited")

        edit(sources / "layers/sample/greeting.py", "WORD = ", 'WORD = "oh, " + ')
        assert "layers/sample/greeting.py" in watch.until(r"live +after \d+\.\d s")
        assert greeting(running, "/protected", Authorization="Bearer good") == "oh, " + before.replace(
            "there", "edited"
        )
        watch.until(r'sample/protected +{"message": "called"')

        assert "the edits stay live" in watch.interrupt()
        assert watch.process.wait() == 0
    assert greeting(running).startswith("oh, ")


def test_a_syntax_error_is_shown_with_its_line_and_the_code_before_it_stays(running: Platform, sources: Path) -> None:
    public = sources / "functions/sample/public.py"
    line = len(public.read_text().splitlines()) + 1
    with dev(running, "sample") as watch:
        watch.until("watching")
        before = greeting(running)
        with public.open("a") as content:
            content.write("def broken(:\n")

        assert f"public.py:{line}: invalid syntax" in watch.until("not live")
        assert "def broken(:" in watch.until("broken")
        assert greeting(running) == before


def test_an_edit_that_was_taken_back_is_gone_after_the_next_deployment(running: Platform, sources: Path) -> None:
    public = sources / "functions/sample/public.py"
    text = public.read_text()
    with dev(running, "sample") as watch:
        watch.until("watching")
        before = greeting(running)
        edit(public, 'os.environ["GREETING"]', '"edited"')
        watch.until(r"live +after")
        watch.interrupt()
    public.write_text(text)
    assert "edited in place" in running.run("status").stdout
    assert greeting(running).endswith("edited")

    deployed = running.run("deploy")

    assert deployed.returncode == 0, deployed.stderr
    assert greeting(running) == before
    assert "as the sources" in running.run("status").stdout


def test_a_change_that_is_more_than_code_is_said_to_need_a_deployment(running: Platform, sources: Path) -> None:
    with dev(running, "sample") as watch:
        watch.until("watching")
        makefile = sources / "layers/sample/Makefile"
        makefile.write_text(makefile.read_text() + "\n")

        assert "layers/sample/Makefile: needs `make deploy`" in watch.until("not live")


def test_a_service_that_there_is_not_is_answered_with_those_that_there_are(running: Platform) -> None:
    for command in ("dev", "logs"):
        result = running.run(command, "nothing")

        assert result.returncode == 1
        assert "say one of" in result.stderr
