"""The commands that start, stop, deploy and show the platform on this machine."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from localstack import console, environments, ports, postgres, services, stack
from localstack.instance import Description, Instance, program_digest
from localstack.ministack import emulator
from localstack.settings import ACCESS_KEY, REGION, ROOT, SECRET_KEY, STACK_NAME, Settings

# A crowded machine takes its time.
START_SECONDS = 180
HEALTH_SECONDS = 180
# In place of the fingerprint of what is deployed: no sources have it, so the next deployment is a whole one.
EDITED = "edited in place"
HEALTH_PATH = "/healthz?deep=true"

EXAMPLE = """
  curl -s {url}/auth/register -H 'Content-Type: application/json' \\
    -d '{{"email":"you@example.com","password":"password123"}}'
  TOKEN=$(curl -s {url}/auth/login -H 'Content-Type: application/json' \\
    -d '{{"email":"you@example.com","password":"password123"}}' \\
    | python3 -c 'import json, sys; print(json.load(sys.stdin)["accessToken"])')
  curl -s {url}/image/generate -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
    -d '{{"prompt":"a lighthouse at dawn"}}'
"""


@contextlib.contextmanager
def alone(home: Path) -> Iterator[None]:
    """One command at a time changes a platform; a second one waits for the first."""
    lock_file = home / "run" / "command.lock"
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.line("waiting", "another command is working on this platform")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def running_settings(settings: Settings) -> Settings:
    """The settings with the ports of the running platform.

    Raises CommandFailed when it does not run.
    """
    described = Instance(settings.home).description()
    if described is None:
        raise console.CommandFailed("this command", "the platform is not running", "start it with `make up`")
    return replace(settings, api_port=described.api_port, aws_port=described.aws_port)


def _cluster(settings: Settings) -> postgres.Cluster:
    return postgres.Cluster(settings.state / "postgres")


def _start(settings: Settings, instance: Instance) -> None:
    """Start the platform's process and wait until it listens."""
    for name, port in (("API_PORT", settings.api_port), ("AWS_PORT", settings.aws_port)):
        ports.require_free(name, port)
    for folder in (settings.logs, settings.run / "tmp", settings.state / "aws", settings.state / "s3"):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # private keys, pictures, addresses in logs
    # A platform that was killed may have left its database running.
    postgres.stop(_cluster(settings))
    command = [
        environments.platform().python, "-u", "-m", "localstack.server", "--home", settings.home,
        "--api-port", str(settings.api_port), "--aws-port", str(settings.aws_port),
        *(word for port in settings.legacy_ports for word in ("--legacy-port", str(port))),
    ]  # fmt: skip
    if settings.server_log.exists():
        settings.server_log.replace(settings.server_log.with_suffix(".log.1"))
    with settings.server_log.open("w") as log:
        process = subprocess.Popen(
            [str(word) for word in command], cwd=ROOT, env=emulator.environment(settings, os.environ),
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if instance.description() is not None and _answers(f"{settings.aws_url}/_ministack/health"):
            return
        time.sleep(0.05)
    why = "it did not answer in time" if process.poll() is None else f"it ended with status {process.returncode}"
    process.terminate()
    raise console.CommandFailed("starting the platform", why, "read the log", log=settings.server_log)


def _answers(url: str) -> bool:
    try:
        return get(url)[0] == 200
    except OSError:
        return False


def get(url: str) -> tuple[int, bytes]:
    """GET without the proxies of the environment; status and body, also of an error answer. Raises ``OSError``."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=60) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def _wait_until_healthy(settings: Settings) -> None:
    deadline = time.monotonic() + HEALTH_SECONDS
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            status, body = get(settings.api_url + HEALTH_PATH)
        except OSError as error:
            last = str(error)
        else:
            if status == 200:
                return
            last = f"{status} {body.decode(errors='replace')[:300]}"
        time.sleep(0.3)
    raise console.CommandFailed(
        "health", f"GET {HEALTH_PATH} answered {last}", "read `make logs`", log=settings.server_log
    )


def _save(settings: Settings) -> None:
    request = urllib.request.Request(f"{settings.aws_url}/_platform/save", method="POST")  # noqa: S310  our own address
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=300):
        pass


def _deploy(settings: Settings, instance: Instance) -> None:
    """Build and deploy what changed, and have the emulator save its state."""
    with console.step("build", "sam build") as step:
        built = stack.build(settings)
        step.note = "functions and layers built"
    with console.step("deploy", "sam deploy") as step:
        stack.deploy(settings, built, _cluster(settings).url(), instance.endpoint_file)
        step.note = "stack deployed, migrations applied"
    _save(settings)
    (settings.state / "deployed").write_text(stack.fingerprint(settings))


def mark_edited(settings: Settings) -> None:
    """Write down that functions no longer have the code that was deployed."""
    (settings.state / "deployed").write_text(EDITED)


def _is_edited(settings: Settings) -> bool:
    stamp = settings.state / "deployed"
    return stamp.exists() and stamp.read_text() == EDITED


def is_deployed(settings: Settings) -> bool:
    """Whether what is deployed is what the sources say."""
    stamp = settings.state / "deployed"
    return (
        stamp.exists()
        and stamp.read_text() == stack.fingerprint(settings)
        and (stack.status(settings) or "").endswith("_COMPLETE")
    )


def up(settings: Settings) -> None:
    """Start what does not run, deploy what changed, wait until all is healthy.

    When a step fails, nothing that this command started is left running.
    """
    with alone(settings.home):
        instance = Instance(settings.home)
        described = instance.description()
        reason = _reason_to_restart(described, settings) if described else None
        if reason:
            console.line("platform", f"{reason}: restarting")
            _stop(settings, instance)
            described = None
        try:
            if described is None:
                with console.step("platform", "starting PostgreSQL and MiniStack") as step:
                    _start(settings, instance)
                    step.note = f"PostgreSQL and MiniStack running, AWS at {settings.aws_url}"
            else:
                console.line("platform", f"already running (process {described.pid})")
                postgres.start(_cluster(settings))
            _bring_up_stack(settings, instance)
        except BaseException:
            if described is None:
                _stop(settings, instance)
            raise
        serving = instance.description()
    _print_ready(settings)
    if serving is not None:
        _print_legacy_ports(serving)


def _reason_to_restart(described: Description, settings: Settings) -> str | None:
    """Why the running process cannot serve what is asked; None when it can."""
    if (described.api_port, described.aws_port) != (settings.api_port, settings.aws_port):
        return f"running on ports {described.api_port} and {described.aws_port}"
    if described.legacy_ports_wanted != settings.legacy_ports:
        return "running with other LEGACY_PORTS"
    if described.program != program_digest():
        return "older than its sources"
    return None


def _bring_up_stack(settings: Settings, instance: Instance) -> None:
    if is_deployed(settings):
        try:
            _wait_until_healthy(settings)
        except console.CommandFailed:
            console.line("stack", "deployed, but not healthy: deploying again")
        else:
            console.line("stack", "up to date and healthy")
            return
    _deploy(settings, instance)
    with console.step("health", "waiting for " + HEALTH_PATH) as step:
        _wait_until_healthy(settings)
        step.note = "healthy"


def _print_ready(settings: Settings) -> None:
    console.heading(f"  Ready: {settings.api_url}")
    print(EXAMPLE.format(url=settings.api_url))
    names = ", ".join(f"logs-{word}" for word in services.words())
    console.line("logs", f"make logs, {names}; {_shown(settings.logs)}/")
    console.line("stop", "make down (the state stays)")


def _print_legacy_ports(described: Description) -> None:
    """Print where the old services' clients find the API, and why not where they do not."""
    if described.legacy_ports:
        console.line("API, too", ", ".join(f"http://localhost:{port}" for port in described.legacy_ports))
    for port in sorted(set(described.legacy_ports_wanted) - set(described.legacy_ports)):
        owner = f"{ports.owner(port)} has it" if ports.is_taken(port) else "it was taken at the start"
        console.line(f"port {port}", f"not ours: {owner} (LEGACY_PORTS)")


def _shown(path: Path) -> str:
    """A path as short as it can be said from the clone."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _stop(settings: Settings, instance: Instance) -> bool:
    stopped = instance.stop()
    stopped = postgres.stop(_cluster(settings)) or stopped
    shutil.rmtree(settings.run / "tmp", ignore_errors=True)
    shutil.rmtree(settings.run / "packages", ignore_errors=True)
    return stopped


def down(settings: Settings) -> None:
    """Stop everything; the state stays."""
    with alone(settings.home), console.step("platform", "stopping") as step:
        stopped = _stop(settings, Instance(settings.home))
        step.note = "stopped" if stopped else "was not running"


def deploy(settings: Settings) -> None:
    """Put the present sources live on the running platform, unless what is deployed was made from them."""
    running = running_settings(settings)
    with alone(running.home):
        if is_deployed(running):
            console.line("deploy", "nothing has changed since the last deployment")
            return
        _deploy(running, Instance(running.home))


def build(settings: Settings) -> None:
    """Build functions and layers, without deploying them."""
    with console.step("build", "sam build") as step:
        built = stack.build(settings)
        step.note = f"built in {_shown(built.parent)}"


def healthcheck(settings: Settings) -> None:
    """Print the deep health answer.

    Raises CommandFailed unless it is 200.
    """
    running = running_settings(settings)
    try:
        status, body = get(running.api_url + HEALTH_PATH)
    except OSError as error:
        raise console.CommandFailed("health", str(error), "read `make logs`", log=running.server_log) from error
    print(body.decode(errors="replace"))
    if status != 200:
        raise console.CommandFailed("health", f"status {status}", "read `make logs`", log=running.server_log)


def status(settings: Settings) -> None:
    """Print what runs, where it listens, and what is deployed."""
    described = Instance(settings.home).description()
    database = postgres.process(_cluster(settings))
    if described is None:
        console.line("platform", "not running (make up)")
        if database is not None:
            console.line("PostgreSQL", f"left over, process {database.pid} (make down stops it)")
        return
    running = replace(settings, api_port=described.api_port, aws_port=described.aws_port)
    console.line("platform", f"running, process {described.pid}")
    console.line("PostgreSQL", f"running, process {database.pid}" if database else "NOT running (make database-start)")
    console.line("API", running.api_url)
    _print_legacy_ports(described)
    console.line("AWS", f"{running.aws_url} (key {ACCESS_KEY}, secret {SECRET_KEY}, region {REGION})")
    state = stack.status(running)
    console.line("stack", f"{STACK_NAME} {state or 'not deployed'}")
    if state:
        fresh = "as the sources" if is_deployed(running) else "older than the sources (make deploy)"
        console.line("deployed", "edited in place (make deploy)" if _is_edited(running) else fresh)
        health, _body = get(running.api_url + HEALTH_PATH)
        console.line("health", str(health))
        for name, value in sorted(stack.outputs(running).items()):
            print(f"    {name:<26}{value}")
        console.line(
            "metrics", f"{running.api_url}/metrics; its token is a secret: make scrape-token writes it to a file"
        )
    console.line("logs", _shown(running.logs) + "/")


def database(settings: Settings, action: str) -> None:
    """Stop or start PostgreSQL alone, to see the platform without it."""
    cluster = _cluster(settings)
    if action == "stop":
        console.line("PostgreSQL", "stopped" if postgres.stop(cluster) else "was not running")
    else:
        running_settings(settings)
        postgres.start(cluster)
        console.line("PostgreSQL", "running")


def describe(settings: Settings) -> None:
    """Print the running platform as JSON, for tests and scripts."""
    running = running_settings(settings)
    described = Instance(running.home).description()
    content: dict[str, Any] = {
        "pid": described.pid if described else None,
        "apiUrl": running.api_url,
        "awsUrl": running.aws_url,
        "databaseUrl": _cluster(running).url(),
        "outputs": stack.outputs(running),
    }
    print(json.dumps(content))
