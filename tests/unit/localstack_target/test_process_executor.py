"""Functions as processes: calls, errors, time limits and ends, as Lambda has them; layers merged; output kept."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import process_executor
import pytest
from lambda_runtime_api import Call
from process_executor import Output, Worker

# Stands for AWS's runtime client: fetches calls and does what their payload says.
CLIENT = f"""#!{sys.executable}
import json, os, sys, time, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/"
def post(path, body):
    urllib.request.urlopen(urllib.request.Request(base + path, data=body, method="POST"))
if "BROKEN" in os.environ:
    post("init/error", b'{{"errorMessage": "no module"}}')
    sys.exit(1)
if "SILENT" in os.environ:
    sys.exit(3)
while True:
    with urllib.request.urlopen(base + "invocation/next") as call:
        identity, order = call.headers["Lambda-Runtime-Aws-Request-Id"], json.load(call)
    if order == "die":
        os._exit(7)
    if order == "sleep":
        time.sleep(600)
    print("did", order, os.getpid())
    kind = "error" if order == "fail" else "response"
    post(f"invocation/{{identity}}/{{kind}}", json.dumps({{"order": order}}).encode())
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts the client as a function's process; what is still there at the end is ended."""
    client = tmp_path / "client"
    client.write_text(CLIENT)
    client.chmod(0o755)
    started = []

    def starting(**variables: str) -> Worker:
        environment = {"PATH": os.environ["PATH"], "_HANDLER": "a.handler", "LAMBDA_TASK_ROOT": str(tmp_path)}
        environment |= {process_executor.WRAPPER: str(client), "PYTHONUNBUFFERED": "1", "no_proxy": "127.0.0.1"}
        worker = Worker(Path(sys.executable), environment | variables, log)
        started.append(worker)
        return worker

    log = Output()
    starting.log = log  # type: ignore[attr-defined]
    yield starting
    for worker in started:
        if not worker.has_ended:
            worker.end()


def call(order: str, seconds: float = 60.0) -> Call:
    return Call("one", json.dumps(order).encode(), "arn", "", seconds)


def test_a_function_answers_calls_one_after_another(start: Callable[..., Worker]) -> None:
    worker = start()
    assert worker.failure_to_start() is None
    assert worker.answer(call("a")) == (False, b'{"order": "a"}')
    assert worker.answer(call("fail")) == (True, b'{"order": "fail"}')
    written = start.log.take()  # type: ignore[attr-defined]
    assert [line.split()[:2] for line in written.splitlines()] == [["did", "a"], ["did", "fail"]]
    assert start.log.take() == ""  # type: ignore[attr-defined]


def test_a_function_that_does_not_load_tells_why(start: Callable[..., Worker]) -> None:
    assert start(BROKEN="1").failure_to_start() == b'{"errorMessage": "no module"}'
    failure = start(SILENT="1").failure_to_start()
    assert failure is not None
    assert json.loads(failure)["errorMessage"].endswith("exit status 3")


def test_a_process_that_dies_in_a_call_is_an_error_of_the_call(start: Callable[..., Worker]) -> None:
    worker = start()
    is_error, body = worker.answer(call("die"))
    assert is_error
    assert json.loads(body)["errorType"] == "Runtime.ExitError"
    assert worker.has_ended


def test_a_call_that_takes_longer_than_the_time_limit_ends_with_its_process(start: Callable[..., Worker]) -> None:
    worker = start()
    assert worker.failure_to_start() is None
    is_error, body = worker.answer(call("sleep", seconds=0.2))
    assert is_error
    assert "Task timed out after 0.20 seconds" in json.loads(body)["errorMessage"]
    assert worker.has_ended


# ---------------------------------------------------------------- layers and variables


def layer(folder: Path, name: str, files: dict[str, str]) -> Any:
    for path, content in files.items():
        file = folder / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    code = SimpleNamespace(
        id=name, prepare_for_execution=lambda: None, get_unzipped_code_location=lambda: folder / name
    )
    return SimpleNamespace(layer_version_arn=f"arn:{name}", code=code)


def test_a_later_layer_wins_and_none_is_changed(tmp_path: Path) -> None:
    first = layer(tmp_path, "first", {"python/a.py": "first", "python/b.py": "first"})
    second = layer(tmp_path, "second", {"python/b.py": "second"})
    folder = process_executor.merged([first, second], tmp_path / "layers")
    assert [(folder / f"python/{name}.py").read_text() for name in "ab"] == ["first", "second"]
    assert (tmp_path / "first/python/b.py").read_text() == "first"
    assert process_executor.merged([first, second], tmp_path / "layers") == folder
    assert process_executor.merged([second, first], tmp_path / "layers") != folder


def test_a_function_sees_its_package_then_its_layers_and_nothing_of_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "the developer's own")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setattr(process_executor.ProcessExecutor, "folder", tmp_path, raising=False)
    code = SimpleNamespace(get_unzipped_code_location=lambda: "/package")
    config = SimpleNamespace(
        code=code, layers=[layer(tmp_path, "one", {"python/a.py": ""})], runtime="python3.12", timeout=3
    )
    executor = process_executor.ProcessExecutor("id", SimpleNamespace(config=config))
    variables = executor._variables({process_executor.WRAPPER: "/opt/python/core/wrapper"})
    opt = variables["LD_LIBRARY_PATH"].removesuffix("/lib")
    assert variables["PYTHONPATH"].split(os.pathsep) == [
        "/package",
        f"{opt}/python/lib/python3.12/site-packages",
        f"{opt}/python",
    ]
    assert variables[process_executor.WRAPPER] == f"{opt}/python/core/wrapper"
    assert "AWS_PROFILE" not in variables
