"""Build the template and deploy it to the emulator, as a deployment to AWS does: `sam build`, `sam deploy`."""

from __future__ import annotations

import compileall
import hashlib
import json
import os
import py_compile
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

from localstack import console, environments, packages
from localstack.settings import (
    ACCESS_KEY,
    ARTIFACT_BUCKET,
    DATABASE_SECRET,
    KEYS,
    REGION,
    ROOT,
    SECRET_KEY,
    STACK_NAME,
    Settings,
)

NEVER_CREATED = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")
REPAIR_SECONDS = 240  # a custom resource that cannot answer is waited for


def client(settings: Settings, service: str, *, config: Config | None = None) -> Any:
    """A boto3 client of the emulator."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=settings.aws_url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(retries={"max_attempts": 2}, connect_timeout=5, read_timeout=60, proxies={}).merge(
            config or Config()
        ),
    )


def command_environment(settings: Settings) -> dict[str, str]:
    """For SAM: our tools first on the path, the emulator as AWS, and nothing of the person's own AWS account."""
    kept = {name: value for name, value in os.environ.items() if name[:4].upper() != "AWS_" and name != "MAKEFLAGS"}
    direct = ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), "localhost", "127.0.0.1"]))
    return kept | {
        "PATH": f"{environments.development().folder / 'bin'}{os.pathsep}{kept.get('PATH', '')}",
        "NO_PROXY": direct,
        "no_proxy": direct,
        "AWS_ENDPOINT_URL": settings.aws_url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.2",
        "PYTHON_RUNTIME": settings.parameters["PythonRuntime"],
        "ARCHITECTURE": settings.parameters["Architecture"],
        "LAYER_TARGET": "host",
        "LAYER_CACHE": str(ROOT / ".local/layer-cache"),
    }


def sam(*arguments: str | Path) -> list[str]:
    """SAM's command line."""
    return [str(environments.development().folder / "bin" / "sam"), *map(str, arguments)]


def _overrides(parameters: Mapping[str, str]) -> list[str]:
    # Quoted as SAM reads it: unquoted, JSON would end at its first mark.
    quoted = {name: value.replace('"', '\\"') for name, value in parameters.items()}
    pairs = (f'ParameterKey={name},ParameterValue="{value}"' for name, value in quoted.items())
    return ["--parameter-overrides", *pairs]


def _run(command: Sequence[str], settings: Settings, what: str, remedy: str) -> None:
    log = settings.logs / f"{what.replace(' ', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        done = subprocess.run(
            command, cwd=ROOT, env=command_environment(settings), stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise console.CommandFailed(what, _reason(log) or f"exit status {done.returncode}", remedy, log=log)


def _reason(log: Path) -> str:
    """The first line of SAM's log that names an error."""
    errors = [entry.strip() for entry in log.read_text(errors="replace").splitlines() if entry.startswith("Error")]
    return errors[0] if errors else ""


def fingerprint(settings: Settings) -> str:
    """Everything that a deployment depends on."""
    folders = [settings.template.parent / name for name in ("layers", "functions")]
    sources = _digest(settings, [path for folder in folders for path in packages.files(folder)])
    return hashlib.sha256(json.dumps([sources, dict(settings.keys)]).encode()).hexdigest()


def _digest(settings: Settings, sources: Iterable[Path]) -> str:
    """The digest of the sources, and of what every build depends on: template, parameters, tools."""
    digest = hashlib.sha256(json.dumps(dict(settings.parameters), sort_keys=True).encode())
    for path in [settings.template, ROOT / "samconfig.toml", *environments.development().locks, *sources]:
        digest.update(f"\n{path}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def build(settings: Settings) -> Path:
    """Build functions and layers, byte-compiled; the path of the template that names the archives.

    `sam build` runs when the template, a layer's requirements or a makefile has changed. Otherwise only what changed is
    built, in the way in which `sam build` does it: the functions have no requirements, so theirs is a copy; a layer's
    is its makefile's target.
    """
    folder = settings.home / "build"
    stamp = settings.home / "build.json"
    layers = settings.template.parent / "layers"
    recipes = _digest(settings, [path for path in packages.files(layers) if path.suffix not in (".py", ".sql")])
    current = {path.parent.name: packages.digest(path.parent) for path in sorted(layers.glob("*/Makefile"))}
    built = json.loads(stamp.read_text()) if stamp.exists() else {}
    stamp.unlink(missing_ok=True)
    if built.get("recipes") != recipes:
        sam_build(settings, folder)
    else:
        for name in current:
            if built["layers"].get(name) != current[name]:
                _make_layer(settings, layers / name, folder)
    stamp.write_text(json.dumps({"recipes": recipes, "layers": current}))
    sources = settings.home / "functions"
    shutil.rmtree(sources, ignore_errors=True)
    shutil.copytree(settings.template.parent / "functions", sources, ignore=shutil.ignore_patterns("__pycache__"))
    compile_functions(sources)
    return packages.pack(folder / "template.yaml", sources)


def layer_name(folder: str) -> str:
    """The template's name of a layer: `layers/core` is CoreLayer."""
    return f"{folder.capitalize()}Layer"


def _make_layer(settings: Settings, layer: Path, folder: Path) -> None:
    """Make one layer."""
    name = layer_name(layer.name)
    artifacts = folder / name
    shutil.rmtree(artifacts, ignore_errors=True)
    artifacts.mkdir()
    command = ["make", "--directory", str(layer), f"build-{name}", f"ARTIFACTS_DIR={artifacts}"]
    _run(command, settings, f"layer {layer.name}", "fix what the log names, then run the same command again")


def sam_build(settings: Settings, folder: Path) -> None:
    """Run `sam build` into a folder of this platform's own."""
    # SAM's own cache would not see what a makefile reads from the environment; the makefiles have LAYER_CACHE.
    command = sam(
        "build", "--no-cached", "--parallel", "--template-file", settings.template, "--build-dir", folder,
        *_overrides(settings.parameters),
    )  # fmt: skip
    _run(command, settings, "sam build", "fix what the log names, then run the same command again")


def compile_functions(sources: Path) -> None:
    """Byte-compile functions: their folder is read-only on Lambda, so each cold start would compile anew."""
    compileall.compile_dir(
        sources,
        quiet=1,
        stripdir=str(sources),
        prependdir="/var/task",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _ensure_bucket(settings: Settings) -> None:
    s3 = client(settings, "s3")
    try:
        s3.head_bucket(Bucket=ARTIFACT_BUCKET)
    except ClientError:
        s3.create_bucket(Bucket=ARTIFACT_BUCKET)


def put_secret(settings: Settings, name: str, text: str) -> str:
    """Have the emulator's Secrets Manager keep the text under the name; the secret's ARN."""
    secrets = client(settings, "secretsmanager")
    try:
        current = secrets.get_secret_value(SecretId=name)
    except secrets.exceptions.ResourceNotFoundException:
        return str(secrets.create_secret(Name=name, SecretString=text)["ARN"])
    if current["SecretString"] != text:
        secrets.put_secret_value(SecretId=name, SecretString=text)
    return str(current["ARN"])


def status(settings: Settings) -> str | None:
    """CloudFormation's status of the stack; None when there is no stack."""
    try:
        stacks = client(settings, "cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
    except ClientError:
        return None
    return str(stacks[0]["StackStatus"]) if stacks else None


def outputs(settings: Settings) -> dict[str, str]:
    """The stack's outputs."""
    stack = client(settings, "cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def resources(settings: Settings) -> list[dict[str, Any]]:
    """The stack's resources, as `list_stack_resources` describes them."""
    pages = client(settings, "cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK_NAME)
    return [resource for page in pages for resource in page["StackResourceSummaries"]]


def parameters(settings: Settings) -> dict[str, str]:
    """The parameters that the stack was deployed with."""
    found = client(settings, "cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"][0]
    return {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])}


def function_variables(settings: Settings) -> dict[str, dict[str, str]]:
    """The environment of each deployed function, by its logical name."""
    functions = client(settings, "lambda")
    return {
        resource["LogicalResourceId"]: functions.get_function_configuration(FunctionName=resource["PhysicalResourceId"])
        .get("Environment", {})
        .get("Variables", {})
        for resource in resources(settings)
        if resource["ResourceType"] == "AWS::Lambda::Function"
    }


def failures(settings: Settings) -> list[str]:
    """Why resources failed in the latest deployment, the first failure first."""
    try:
        events = client(settings, "cloudformation").describe_stack_events(StackName=STACK_NAME)["StackEvents"]
    except ClientError:
        return []
    reasons: list[str] = []
    for event in events:  # newest first
        is_stack = event["ResourceType"] == "AWS::CloudFormation::Stack"
        if is_stack and event["ResourceStatus"] in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
            break
        if not is_stack and event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason"):
            reasons.insert(0, f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}")
    return reasons


def _find_api(settings: Settings) -> dict[str, str]:
    by_type = {resource["ResourceType"]: resource["PhysicalResourceId"] for resource in resources(settings)}
    return {"apiId": by_type["AWS::ApiGateway::RestApi"], "stage": by_type["AWS::ApiGateway::Stage"]}


def _repair(settings: Settings) -> None:
    """Bring a stack that an earlier deployment left half done into a state that can be deployed to."""
    cloudformation = client(settings, "cloudformation")
    state = status(settings)
    if state == "UPDATE_ROLLBACK_FAILED":
        broken = [
            each["LogicalResourceId"] for each in resources(settings) if each["ResourceStatus"].endswith("FAILED")
        ]
        cloudformation.continue_update_rollback(StackName=STACK_NAME, ResourcesToSkip=broken)
        waiter = "stack_rollback_complete"
    elif state in NEVER_CREATED:
        # Nothing was ever kept in it: its buckets went with the failed creation.
        cloudformation.delete_stack(StackName=STACK_NAME)
        waiter = "stack_delete_complete"
    else:
        return
    try:
        cloudformation.get_waiter(waiter).wait(
            StackName=STACK_NAME, WaiterConfig={"Delay": 1, "MaxAttempts": REPAIR_SECONDS}
        )
    except WaiterError as error:
        raise console.CommandFailed(
            "repairing the stack", str(error), "make clean STATE=1 removes all state; then make up"
        ) from error


def _put_back(settings: Settings, built_template: Path) -> None:
    """Give the functions that were edited in place the code of the template: CloudFormation knows nothing of edits."""
    functions = client(settings, "lambda")
    deployed = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources(settings)}
    for name, archive in packages.function_archives(built_template).items():
        content = archive.read_bytes()
        code = functions.get_function_configuration(FunctionName=deployed[name])["CodeSha256"]
        if code != packages.code_digest(content):
            functions.update_function_code(FunctionName=deployed[name], ZipFile=content)


def deploy(settings: Settings, built_template: Path, database_url: str, endpoint_file: Path) -> None:
    """Run `sam deploy --config-env local` and note the API's address for the platform's listener.

    Raises CommandFailed with CloudFormation's own reason when the stack does not come up.
    """
    _ensure_bucket(settings)
    secrets = {"DatabaseSecretArn": (DATABASE_SECRET, database_url)}
    secrets |= {
        parameter: (name, settings.keys[parameter]) for parameter, name in KEYS.values() if parameter in settings.keys
    }
    put = {parameter: put_secret(settings, name, text) for parameter, (name, text) in secrets.items()}
    parameters = {**put, **settings.parameters}
    _repair(settings)
    command = sam(
        "deploy", "--config-file", ROOT / "samconfig.toml", "--config-env", "local", "--template-file",
        built_template, *_overrides(parameters),
    )  # fmt: skip
    try:
        _run(command, settings, "sam deploy", "fix what the log names, then run the same command again")
    except console.CommandFailed as failure:
        reasons = failures(settings)
        if reasons:
            failure.why = reasons[0]
        raise
    _put_back(settings, built_template)
    temporary = endpoint_file.with_suffix(".tmp")
    temporary.write_text(json.dumps(_find_api(settings)))
    temporary.replace(endpoint_file)
