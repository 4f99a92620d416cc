"""`make up`, `make down`, `make deploy` in the orders and the accidents in which people run them."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from localstack.ports import is_taken

from tests.integration.platform.platforms import SAMPLE, Platform, free_port

pytestmark = pytest.mark.needs("launcher")


def wait_until_gone(platform: Platform, seconds: float = 120) -> list[psutil.Process]:
    """The platform's processes that are still there after a while."""
    deadline = time.monotonic() + seconds
    while platform.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    return platform.processes()


def test_second_up_changes_nothing_and_builds_nothing(running: Platform) -> None:
    pid = running.pid

    again = running.run("up")

    assert again.returncode == 0
    assert "up to date" in again.stdout
    assert running.pid == pid
    assert not re.search(r"^ +(build|deploy) ", again.stdout, re.MULTILINE)


def test_up_prints_the_address_an_example_and_where_the_logs_are(running: Platform) -> None:
    printed = running.run("up").stdout

    assert f"http://localhost:{running.api_port}/auth/register" in printed
    assert "/image/generate" in printed
    assert str(running.home / "logs") in printed


def test_two_ups_at_once_start_one_platform(running: Platform) -> None:
    running.run("down")

    with ThreadPoolExecutor(2) as both:
        results = list(both.map(lambda _number: running.run("up"), range(2)))

    assert [result.returncode for result in results] == [0, 0]
    servers = [process for process in running.processes() if "localstack.server" in process.cmdline()]
    assert [process.pid for process in servers] == [running.pid]


def test_down_leaves_no_process_and_a_second_down_is_no_error(running: Platform) -> None:
    running.get("/public/anything")

    first, second = running.run("down"), running.run("down")

    assert (first.returncode, second.returncode) == (0, 0)
    assert "was not running" in second.stdout
    assert wait_until_gone(running) == []


def test_state_survives_down_and_up(running: Platform) -> None:
    deployed_before = running.run("describe").stdout

    running.run("down")
    started = running.run("up")

    assert "up to date" in started.stdout
    assert running.get("/protected", Authorization="Bearer good").status == 200
    assert without_pid(running.run("describe").stdout) == without_pid(deployed_before)


def without_pid(description: str) -> str:
    return re.sub(r'"pid": \d+', "", description)


def test_up_after_kill_9_brings_everything_back(running: Platform) -> None:
    running.get("/public/anything")
    os.kill(running.pid, signal.SIGKILL)

    started = running.run("up")

    assert started.returncode == 0, started.stderr
    assert "up to date" in started.stdout
    assert running.get("/protected", Authorization="Bearer good").status == 200
    servers = [process for process in running.processes() if "localstack.server" in process.cmdline()]
    postmasters = [process for process in running.processes() if "-D" in process.cmdline()]
    assert (len(servers), len(postmasters)) == (1, 1)


def test_down_after_kill_9_leaves_no_process(running: Platform) -> None:
    running.get("/public/anything")
    os.kill(running.pid, signal.SIGKILL)

    assert running.run("down").returncode == 0
    assert wait_until_gone(running) == []


def test_stopped_database_is_seen_and_started_by_up(running: Platform) -> None:
    running.run("database", "stop")
    assert "NOT running" in running.run("status").stdout

    running.run("up")

    assert "NOT running" not in running.run("status").stdout


def test_a_deployment_of_what_is_deployed_builds_nothing(running: Platform) -> None:
    again = running.run("deploy")

    assert again.returncode == 0, again.stderr
    assert "nothing has changed" in again.stdout
    assert not re.search(r"^ +build ", again.stdout, re.MULTILINE)


def test_edit_is_live_after_deploy_under_the_same_api(running: Platform, sample_project: Path) -> None:
    greeting = sample_project / "functions/sample/public.py"
    address = (running.home / "state/endpoint.json").read_text()
    greeting.write_text(greeting.read_text().replace('WORD + " "', 'WORD + ", "'))

    deployed = running.run("deploy")

    assert deployed.returncode == 0, deployed.stderr
    assert running.get("/public/anything").json()["greeting"] == "well,, there"
    assert (running.home / "state/endpoint.json").read_text() == address


def test_changed_route_is_live_after_deploy_and_keeps_its_gateway_responses(
    running: Platform, sample_project: Path
) -> None:
    template = sample_project / "template.yaml"
    address = (running.home / "state/endpoint.json").read_text()
    template.write_text(template.read_text().replace("/public/{what}", "/open/{what}").replace('"denied"', '"refused"'))

    deployed = running.run("deploy")

    assert deployed.returncode == 0, deployed.stderr
    assert running.get("/open/anything").status == 200
    assert running.get("/public/anything").json() == {"kind": "no-route"}
    assert running.get("/protected", Authorization="Bearer bad").json()["kind"] == "refused"
    assert running.get("/protected", "OPTIONS").headers["Access-Control-Allow-Methods"] == "GET"
    assert (running.home / "state/endpoint.json").read_text() == address


def test_taken_port_is_named_with_its_owner_and_nothing_is_left_running(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "home", SAMPLE / "template.yaml")
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", platform.aws_port))
        stranger.listen()

        started = platform.run("up")

    assert started.returncode == 1
    assert f"port {platform.aws_port} (AWS_PORT)" in started.stderr
    assert str(os.getpid()) in started.stderr
    assert f"AWS_PORT={platform.aws_port + 1} make up" in started.stderr
    assert platform.processes() == []


def test_failing_build_says_why_and_leaves_nothing_running(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "functions").mkdir()
    (project / "template.yaml").write_text(
        (SAMPLE / "template.yaml").read_text().replace("ContentUri: layers/sample/", "ContentUri: layers/nowhere/")
    )
    platform = Platform(tmp_path / "home", project / "template.yaml")

    started = platform.run("up")

    assert started.returncode == 1
    assert "sam build failed" in started.stderr
    assert "layers/nowhere" in started.stderr
    assert wait_until_gone(platform) == []


def test_platform_runs_in_a_folder_too_deep_for_a_unix_socket(tmp_path: Path, sample_project: Path) -> None:
    deep = tmp_path.joinpath(*(["a-folder-with-a-long-name"] * 6))
    platform = Platform(deep, sample_project / "template.yaml", variables={"GREETING": "deep"})
    try:
        started = platform.run("up")

        assert started.returncode == 0, started.stderr
        assert platform.get("/healthz").json()["greeting"].endswith("deep")
    finally:
        platform.run("down")


def test_two_platforms_run_side_by_side(running: Platform, tmp_path: Path, sample_project: Path) -> None:
    other = Platform(tmp_path / "other", sample_project / "template.yaml", variables={"GREETING": "other"})
    try:
        assert other.run("up").returncode == 0

        assert other.get("/healthz").json()["greeting"].endswith("other")
        assert running.get("/healthz").json()["greeting"].endswith("there")
    finally:
        other.run("down")
    assert running.get("/healthz").status == 200


def test_up_on_other_ports_moves_the_platform(running: Platform) -> None:
    ports = (running.api_port, running.aws_port)
    try:
        running.api_port, running.aws_port = free_port(), free_port()

        moved = running.run("up")

        assert moved.returncode == 0, moved.stderr
        assert f"running on ports {ports[0]} and {ports[1]}: restarting" in moved.stdout
        assert running.get("/healthz").status == 200
    finally:
        running.api_port, running.aws_port = ports


def test_commands_that_need_a_running_platform_say_so(tmp_path: Path) -> None:
    platform = Platform(tmp_path, SAMPLE / "template.yaml")

    for command in ("deploy", "healthcheck", "describe", "logs"):
        result = platform.run(command)

        assert result.returncode == 1
        assert "make up" in result.stderr


def test_logs_show_the_functions_of_a_part(running: Platform) -> None:
    running.get("/healthz")

    shown = {part: running.run("logs", part, "--no-follow").stdout for part in ("image", "speech")}

    assert "called" in shown["image"]
    assert "called" not in shown["speech"]


def test_make_help_lists_every_target_with_its_purpose() -> None:
    root = Path(__file__).resolve().parents[3]
    printed = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True).stdout

    required = {"up", "down", "status", "logs", "logs-auth", "logs-image", "logs-speech", "healthcheck", "build"}
    required |= {"deploy", "test", "test-unit", "test-integration", "test-auth", "test-image", "test-speech"}
    required |= {"test-protected", "lint", "format", "promote", "clean", "help"}
    listed = dict(entry.split(None, 1) for entry in printed.splitlines() if re.match(r"  [a-z]", entry))
    assert required <= set(listed)


def test_the_api_is_at_the_old_services_ports_too_where_they_are_free(tmp_path: Path, sample_project: Path) -> None:
    free, taken = free_port(), free_port()
    platform = Platform(tmp_path / "legacy", sample_project / "template.yaml")
    platform.variables = {"GREETING": "friends", "LEGACY_PORTS": f"{free},{taken},{platform.api_port}"}
    try:
        with socket.socket() as stranger:
            stranger.bind(("127.0.0.1", taken))
            stranger.listen()

            started = platform.run("up")

            assert started.returncode == 0, started.stderr
            answer = platform.call(f"http://localhost:{free}/healthz")
            assert answer.json()["greeting"].endswith("friends")
            for printed in (started.stdout, platform.run("status").stdout):
                assert f"http://localhost:{free}" in printed
                assert re.search(rf"port {taken} +not ours: .*process {os.getpid()}", printed)
        own = [process for process in psutil.net_connections("tcp") if process.pid == platform.pid]
        listening = {entry.laddr[0] for entry in own if entry.status == psutil.CONN_LISTEN and entry.laddr[1] == free}
        assert listening <= {"127.0.0.1", "::1"}

        again = platform.run("up", LEGACY_PORTS="")

        assert "other LEGACY_PORTS: restarting" in again.stdout
        assert not is_taken(free)
    finally:
        platform.run("down")
