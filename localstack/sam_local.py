"""Write the environment of the deployed functions to a file for `sam local start-api --env-vars`.

SAM's local gateway runs no custom resources and makes no buckets: the functions need the values of a stack that exists.
"""

from __future__ import annotations

import json
import os

from localstack import stack
from localstack.console import line
from localstack.settings import Settings


def write_environment(settings: Settings) -> None:
    """Write `sam-local.json` into the platform's folder: for each function, the variables that it is deployed with.

    The AWS that they are read from listens on AWS_PORT: the embedded platform, or LocalStack. CONTAINER_AWS_ENDPOINT is
    its address as the functions' containers see it.
    """
    endpoint = os.environ.get("CONTAINER_AWS_ENDPOINT", f"http://host.docker.internal:{settings.aws_port}")
    functions = stack.client(settings, "lambda")
    environments = {}
    for resource in stack.resources(settings):
        if resource["ResourceType"] == "AWS::Lambda::Function":
            configuration = functions.get_function_configuration(FunctionName=resource["PhysicalResourceId"])
            variables = configuration.get("Environment", {}).get("Variables", {})
            environments[resource["LogicalResourceId"]] = variables | {"AWS_ENDPOINT_URL": endpoint}
    path = settings.home / "sam-local.json"
    path.write_text(json.dumps(environments, indent=2))
    path.chmod(0o600)
    line("written", f"{path} (sam local start-api --env-vars {path})")
