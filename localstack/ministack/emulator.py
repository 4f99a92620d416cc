"""MiniStack inside our process: its settings, and all that is changed in it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localstack.edge import Application
from localstack.ministack import (
    batches,
    calls,
    forking,
    functions_pool,
    gateway,
    owner,
    role_boundaries,
    shortcuts,
    state,
    streaming,
)
from localstack.settings import REGION, Settings

# What a process needs from the developer's shell to work on this machine; nothing else reaches the functions.
KEPT_VARIABLES = frozenset(
    name
    for upper in (
        "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
        "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NIX_SSL_CERT_FILE",
    )
    for name in (upper, upper.lower())
)  # fmt: skip


def environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of the platform's process: MiniStack's settings, and of the shell only what is needed."""
    kept = {name: value for name, value in inherited.items() if name in KEPT_VARIABLES}
    direct = ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), "localhost", "127.0.0.1", "::1"]))
    return kept | {
        "NO_PROXY": direct,
        "no_proxy": direct,
        "AUTH": "true",
        # MiniStack's owner is "test" always (owner.py), and this one: what localstack-client sends.
        "AWS_ACCESS_KEY_ID": "accesskey",
        "AWS_SECRET_ACCESS_KEY": "secretkey",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": settings.aws_url,
        "BIND_HOST": "127.0.0.1",
        "DOCKER_HOST": "unix:///nonexistent",  # its container features are not for us, and it would reap others'
        "GATEWAY_PORT": str(settings.aws_port),
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "LAMBDA_WARM_TTL_SECONDS": "60",
        "LOG_LEVEL": "WARNING",
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "1",
        "S3_DATA_DIR": str(settings.state / "s3"),
        "S3_PERSIST": "1",
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(settings.state / "aws"),
        "TMPDIR": str(settings.run / "tmp"),
    }


def _service(name: str) -> Any:
    return importlib.import_module(f"ministack.{name}")


class Emulator:
    """MiniStack's ASGI application with our additions. MiniStack reads `environment` when it is imported."""

    def __init__(self, interpreter: Path, unpacked: Path) -> None:
        self._app = _service("app")
        # Read by now; in a function it would set the level of its own logger.
        os.environ.pop("LOG_LEVEL", None)
        self._runtime = _service("core.lambda_runtime")
        self.save = state.Saver(self._app, _service("core.persistence")).save
        apigateway = _service("services.apigateway_v1")
        provisioners = _service("services.cloudformation.provisioners")
        gateway.install(apigateway, provisioners)
        role_boundaries.install(provisioners, _service("services.iam"))
        functions_pool.install(self._runtime, _service("services.lambda_svc"), interpreter, unpacked)
        forking.install(self._runtime, _service("services.lambda_svc"))
        calls.install(self._runtime, _service("core.concurrency"), _service("services.s3"))
        batches.install(_service("services.sqs"), _service("services.lambda_svc"))
        streaming.install(apigateway, self._runtime)
        owner.install(_service("core.iam_evaluator"), _service("services.s3"))
        shortcuts.install(_service("core.iam_evaluator"), _service("services.dynamodb"), _service("services.s3"))

    @property
    def application(self) -> Application:
        """The ASGI application."""
        application: Application = self._app.app
        return application

    def end_functions(self) -> None:
        """End the processes of all functions."""
        self._runtime.reset()
