"""`make sam-local`: derive, forward, and run `sam local start-api` until it is ended."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from localstack import commands, console, ports, postgres, stack
from localstack.sam_local import derive, engine, forward
from localstack.settings import ROOT, Settings

DATABASE_SECRET = "llm-microservices/database-for-containers"  # noqa: S105  a name, not a secret


def start(settings: Settings, port: int) -> None:
    """Serve the API on ``port`` by SAM's local gateway, until SIGINT or SIGTERM.

    Raises CommandFailed when there is no engine, no platform, or a function that could reach a real AWS account.
    """
    docker = engine.find()
    running = commands.running_settings(settings)
    ports.require_free("SAM_PORT", port)
    built = settings.home / "build" / "template.yaml"
    if not built.exists() or not (stack.status(running) or "").endswith("_COMPLETE"):
        raise console.CommandFailed("sam local", "the stack is not deployed", "run `make up`")
    files = derive.Files(settings.home / "sam-local")
    code = settings.home / "functions"
    with contextlib.ExitStack() as cleanup:
        reach = _reach(docker, cleanup)
        addresses = _addresses(running, docker, reach, cleanup)
        deployed = derive.Deployed(stack.parameters(running), stack.function_variables(running))
        own = derive.variables(deployed, addresses)
        template = yaml.safe_load(built.read_text())
        layers = derive.layers(template, built.parent, files.layers)
        layers.place()
        files.write(derive.template(template, code, layers.arns, deployed.parameters, own), own)
        files.require_isolation(addresses.endpoint)
        console.line("containers", f"AWS at {addresses.endpoint}, credentials of the emulator, no resolver")
        console.heading(f"  sam local: http://localhost:{port} (Ctrl-C ends it)")
        cleanup.callback(_remove_containers, docker, code)
        status = _run(sam_command(files, docker, port), running)
    if status != 0:
        raise console.CommandFailed("sam local", f"it ended with status {status}", "read what it printed")


def _reach(docker: engine.Engine, cleanup: contextlib.ExitStack) -> Any:
    """Makes a target reachable for containers; its address as they see it."""

    def reach(target: forward.Target) -> str:
        try:
            port = cleanup.enter_context(forward.forwarded(docker.listen, target, docker.peers))
        except OSError as error:
            raise console.CommandFailed(
                "sam local",
                f"cannot listen on {docker.listen}, where containers look for this machine: {error.strerror}",
                "an engine in a namespace of its own (rootless) is not supported; use the system's",
            ) from error
        return f"{docker.host}:{port}"

    return reach


def _addresses(running: Settings, docker: engine.Engine, reach: Any, cleanup: contextlib.ExitStack) -> derive.Addresses:
    cluster = postgres.Cluster(running.state / "postgres")
    database = cleanup.enter_context(
        _database_secret(running, cluster.url_at(reach(cluster.socket_folder / postgres.SOCKET_NAME)))
    )
    forwarded = cache(lambda port: reach(("127.0.0.1", port)))
    return derive.Addresses(
        endpoint=f"http://{forwarded(running.aws_port)}",
        public_s3=running.aws_url,
        database_secret=database,
        forwarded=forwarded,
    )


@contextlib.contextmanager
def _database_secret(running: Settings, url: str) -> Iterator[str]:
    """The connection string for containers, in the emulator's Secrets Manager for as long as there are containers."""
    arn = stack.put_secret(running, DATABASE_SECRET, url)
    try:
        yield arn
    finally:
        # The platform may have been stopped before us.
        with contextlib.suppress(Exception):
            stack.client(running, "secretsmanager").delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


def sam_command(files: derive.Files, docker: engine.Engine, port: int) -> list[str]:
    """SAM's local gateway. Containers get no resolver: a name of the internet means nothing to them."""
    return stack.sam(
        "local", "start-api", "--template", files.template, "--env-vars", files.variables, "--host", "127.0.0.1",
        "--port", str(port), "--warm-containers", "LAZY", "--skip-pull-image", "--layer-cache-basedir", files.layers,
        "--container-dns", "127.0.0.1", *docker.options,
    )  # fmt: skip


def _run(command: list[str], running: Settings) -> int:
    """Run SAM in a session of its own, so that it gets one signal, the one on which it removes its containers."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=stack.command_environment(running), stdin=subprocess.DEVNULL, start_new_session=True
    )
    ending = False

    def end(_number: int, _frame: object) -> None:
        nonlocal ending
        ending = True
        process.terminate()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0 if ending else status


def _remove_containers(docker: engine.Engine, code: Path) -> None:
    """Remove what SAM has left behind, as it does on a crowded machine."""
    for container in docker.client.containers.list(all=True, filters={"volume": str(code)}):
        container.remove(force=True)
