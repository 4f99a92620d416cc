"""`make up-localstack` and `make down-localstack`: LocalStack's process, PostgreSQL, the stack in it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
from tools import runtimes

from localstack import commands, console, environments, ports, postgres, settings, stack
from localstack.environments import HERE, ROOT, Environment
from localstack.instance import Instance
from localstack.processes import wait_for_end
from localstack.settings import REGION, Settings

PYTHON = "3.13"  # which this version of LocalStack takes
PORT, API_PORT = "14566", "13000"
SERVICES = (
    "apigateway", "bedrock-runtime", "cloudformation", "cloudwatch", "dynamodb", "events", "iam", "lambda", "logs",
    "s3", "secretsmanager", "sns", "sqs", "ssm", "sts",
)  # fmt: skip
PROGRAM = Path(__file__).parent / "inside" / "serve.py"
START_SECONDS = 180
HEALTH_SECONDS = 180
COLD_START_SECONDS = 180
END_SECONDS = 30
# Of the shell, what a process needs to work here.
KEPT = (
    "PATH", "HOME", "LANG", "LC_ALL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy",
    "all_proxy", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip


def server(root: Path = ROOT) -> Environment:
    """LocalStack's environment. Raises CommandFailed where its Python is missing."""
    python = HERE if HERE.version == PYTHON else runtimes.interpreter(PYTHON, os.environ)
    if python is None:
        raise console.CommandFailed(
            "LocalStack",
            f"it needs Python {PYTHON}, which is not on this machine",
            f"install it (.venv/bin/uv python install {PYTHON}, or pyenv, or your system's), then run it again",
        )
    locks = (root / "requirements/localstack.txt",)
    return Environment("localstack", root / ".local/platform/localstack", locks, python)


def functions(root: Path = ROOT) -> Environment:
    """What runs the functions: Python, boto3 and AWS's runtime client, as on Lambda."""
    locks = (root / "requirements/localstack-functions.txt",)
    return Environment("localstack-functions", root / ".local/platform/localstack-functions", locks)


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of the platform on LocalStack: a folder and ports of its own beside those of the embedded one."""
    values = {**settings.read_dotenv(ROOT / ".env"), **(os.environ if environ is None else environ)}
    return settings.load(
        values
        | {
            "LOCAL_DIR": str(Path(values.get("LOCAL_DIR") or ROOT / ".local").resolve() / "localstack"),
            "AWS_PORT": values.get("LOCALSTACK_PORT") or PORT,
            "API_PORT": values.get("LOCALSTACK_API_PORT") or API_PORT,
            "LEGACY_PORTS": "",
        }
    )


def environment(config: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of LocalStack's process: its settings, and of the shell only what is needed."""
    return {name: value for name, value in inherited.items() if name in KEPT} | {
        "NO_PROXY": "localhost,127.0.0.1",
        "no_proxy": "localhost,127.0.0.1",
        "AWS_DEFAULT_REGION": REGION,
        "DISABLE_EVENTS": "1",
        "DNS_ADDRESS": "0",
        "DOCKER_HOST": "unix:///nonexistent",  # nothing here is for a container
        "FILESYSTEM_ROOT": str(config.state / "aws"),
        "GATEWAY_LISTEN": f"127.0.0.1:{config.aws_port}",
        "LAMBDA_RUNTIME_ENVIRONMENT_TIMEOUT": str(COLD_START_SECONDS),
        "LOCALSTACK_HOST": f"localhost:{config.aws_port}",
        "OVERRIDE_IN_DOCKER": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SERVICES": ",".join(SERVICES),
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "XDG_CACHE_HOME": str(config.run / "tmp"),
    }


def _cluster(config: Settings) -> postgres.Cluster:
    return postgres.Cluster(config.state / "postgres")


def _start(config: Settings, instance: Instance) -> None:
    """Start with nothing: the free LocalStack keeps no state, so accounts from before would have no pictures."""
    for name, port in (("LOCALSTACK_API_PORT", config.api_port), ("LOCALSTACK_PORT", config.aws_port)):
        if ports.is_taken(port):
            raise console.CommandFailed(
                f"port {port} ({name})",
                f"{ports.owner(port)} listens on it",
                f"end that program, or choose another port: {name}={port + 1} make up-localstack",
            )
    postgres.stop(_cluster(config))
    for folder in (config.state, config.run / "tmp"):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in (config.logs, config.run / "tmp", config.state / "aws"):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    postgres.start(_cluster(config))
    command = [
        server().python, "-u", PROGRAM, "--api-port", config.api_port, "--endpoint", instance.endpoint_file,
        "--python", functions().python, "--folder", config.run,
    ]  # fmt: skip
    with instance.lock_file.open("w") as lock, config.server_log.open("w") as log:
        # The process inherits the lock and holds it while it lives, as a platform does.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        process = subprocess.Popen(
            [str(word) for word in command], cwd=config.home, env=environment(config, os.environ),
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            pass_fds=[lock.fileno()],
        )  # fmt: skip
    instance.describe(process.pid, config, ())
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if _status(f"{config.aws_url}/_localstack/health")[0] == 200:
            return
        time.sleep(0.2)
    why = "it did not answer in time" if process.poll() is None else f"it ended with status {process.returncode}"
    raise console.CommandFailed("starting LocalStack", why, "read the log", log=config.server_log)


def _stop(config: Settings, instance: Instance) -> bool:
    """End everything at once: LocalStack keeps nothing, and takes a minute and more to end in its own order."""
    described = instance.description()
    if described is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(described.pid)
            everything = [process, *process.children(recursive=True)]
            for one in everything:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            for one in everything:
                wait_for_end(one, END_SECONDS)
        instance.forget()
    stopped = postgres.stop(_cluster(config)) or described is not None
    shutil.rmtree(config.run / "tmp", ignore_errors=True)
    shutil.rmtree(config.run / "layers", ignore_errors=True)
    return stopped


def _status(url: str) -> tuple[int, bytes]:
    """Status and body of what is there, 0 while nobody answers."""
    try:
        return commands.get(url)
    except OSError as error:
        return 0, str(error).encode()


def _deploy(config: Settings, instance: Instance) -> None:
    with console.step("build", "sam build") as step:
        built = stack.build(config)
        step.note = "functions and layers built"
    with console.step("deploy", "sam deploy") as step:
        stack.deploy(config, built, _cluster(config).url(), instance.endpoint_file)
        _keep_stage(config, instance.endpoint_file)
        step.note = "stack deployed, migrations applied"
    (config.state / "deployed").write_text(stack.fingerprint(config))


def _keep_stage(config: Settings, endpoint_file: Path) -> None:
    """Have the API's stage lead to its newest deployment: LocalStack's CloudFormation loses the stage at an update."""
    endpoint = json.loads(endpoint_file.read_text())
    api, name = endpoint["apiId"], endpoint["stage"]
    gateway = stack.client(config, "apigateway")
    newest = max(gateway.get_deployments(restApiId=api)["items"], key=lambda one: one["createdDate"])["id"]
    stages = {one["stageName"]: one["deploymentId"] for one in gateway.get_stages(restApiId=api)["item"]}
    if name not in stages:
        gateway.create_stage(restApiId=api, stageName=name, deploymentId=newest)
    elif stages[name] != newest:
        change = {"op": "replace", "path": "/deploymentId", "value": newest}
        gateway.update_stage(restApiId=api, stageName=name, patchOperations=[change])


def problem(config: Settings) -> str | None:
    """What is not as it must be before the platform is called ready; None when all is.

    Health alone would not tell that custom resources were skipped: without signing keys nobody's token is good.
    """
    for path in (commands.HEALTH_PATH, "/.well-known/jwks.json"):
        status, body = _status(config.api_url + path)
        if status != 200:
            return f"GET {path} answered {status} {body.decode(errors='replace')[:300]}"
    if not json.loads(body)["keys"]:
        return "the set of signing keys is empty: custom resources were not called"
    return None


def _wait_until_ready(config: Settings) -> None:
    deadline = time.monotonic() + HEALTH_SECONDS
    while (why := problem(config)) is not None:
        if time.monotonic() > deadline:
            raise console.CommandFailed("health", why, "read the log", log=config.server_log)
        time.sleep(0.3)


def check(_config: Settings) -> None:
    """Say which Python would run LocalStack.

    Raises CommandFailed where there is none.
    """
    console.line("LocalStack", f"runs on {server().interpreter.path}")


def up(config: Settings) -> None:
    """Start LocalStack where it does not run, deploy what changed, and wait until all of it answers.

    When a step fails, nothing that this command started is left running.
    """
    with commands.alone(config.home):
        environments.ensure([server(), functions()])
        instance = Instance(config.home)
        described = instance.description()
        if described and (described.api_port, described.aws_port) != (config.api_port, config.aws_port):
            console.line("LocalStack", f"running on ports {described.api_port} and {described.aws_port}: restarting")
            _stop(config, instance)
            described = None
        try:
            if described is None:
                with console.step("LocalStack", "starting PostgreSQL and LocalStack") as step:
                    _start(config, instance)
                    step.note = f"PostgreSQL and LocalStack running, AWS at {config.aws_url}"
            else:
                console.line("LocalStack", f"already running (process {described.pid})")
                postgres.start(_cluster(config))
            if not commands.is_deployed(config):
                _deploy(config, instance)
            with console.step("health", f"waiting for {commands.HEALTH_PATH} and the signing keys") as step:
                _wait_until_ready(config)
                step.note = "healthy, with signing keys"
        except BaseException:
            if described is None:
                _stop(config, instance)
            raise
    console.heading(f"  Ready: {config.api_url}")
    print(f"\n  API={config.api_url}    for the tour of the README\n")
    console.line("stop", "make down-localstack (the state goes with it)")


def down(config: Settings) -> None:
    """Stop LocalStack and its PostgreSQL; nothing is kept."""
    with commands.alone(config.home), console.step("LocalStack", "stopping") as step:
        stopped = _stop(config, Instance(config.home))
        shutil.rmtree(config.state, ignore_errors=True)
        step.note = "stopped" if stopped else "was not running"
