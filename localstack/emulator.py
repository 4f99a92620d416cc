"""MiniStack inside our process: its settings, the additions to it, and the saving of its state."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from localstack import functions_pool, gateway, role_boundaries, streaming
from localstack.edge import Application
from localstack.settings import REGION, Settings

logger = logging.getLogger("platform")

# Large and changed only by a deployment (function code) or of little worth after a crash (logs).
SAVED_WITH_EVERYTHING_ONLY = frozenset({"lambda", "cloudwatch_logs"})

# On a busy platform a copy of its state takes some.
COPIES_TRIED = 20

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
        # MiniStack's owner is "test" always, and this one: what localstack-client sends.
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
        "LOG_LEVEL": "WARNING",
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "1",
        "S3_DATA_DIR": str(settings.state / "s3"),
        "S3_PERSIST": "1",
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(settings.state / "aws"),
        "TMPDIR": str(settings.run / "tmp"),
    }


def _copied(get_state: Callable[[], Any]) -> Any:
    """A copy of a service's state, which MiniStack's threads may change while MiniStack copies it: then another one.

    Raises RuntimeError when they did so every time.
    """
    for _ in range(COPIES_TRIED - 1):
        try:
            return get_state()
        except RuntimeError:  # a dictionary changed its size
            continue
    return get_state()


def _service(name: str) -> Any:
    return importlib.import_module(f"ministack.{name}")


class Emulator:
    """MiniStack's ASGI application with our additions. MiniStack reads `environment` when it is imported."""

    def __init__(self, interpreter: Path, unpacked: Path) -> None:
        self._app = _service("app")
        # Read by now; in a function it would set the level of its own logger.
        os.environ.pop("LOG_LEVEL", None)
        self._runtime = _service("core.lambda_runtime")
        self._saved: dict[str, str] = {}
        self._saving = asyncio.Lock()
        provisioners = _service("services.cloudformation.provisioners")
        apigateway = _service("services.apigateway_v1")
        gateway.install(apigateway, provisioners)
        role_boundaries.install(provisioners, _service("services.iam"))
        functions_pool.install(self._runtime, _service("services.lambda_svc"), interpreter, unpacked)
        streaming.install(apigateway, self._runtime)

    @property
    def application(self) -> Application:
        """The ASGI application."""
        application: Application = self._app.app
        return application

    async def save(self, *, everything: bool = True) -> None:
        """Write the state that changed to disk. MiniStack itself does so only when it is stopped in order."""
        persistence = _service("core.persistence")
        async with self._saving:
            for name, get_state in self._app._build_persistence_save_dict().items():
                if name in SAVED_WITH_EVERYTHING_ONLY and not everything:
                    continue
                state = _copied(get_state)
                if state is not None:
                    await asyncio.to_thread(self._write, persistence, name, state)

    def _write(self, persistence: Any, name: str, state: Any) -> None:
        """Write one service's file in MiniStack's format, when its content has changed."""
        document = {"__ministack_format__": persistence._state_format_version(name), "payload": state}
        content = json.dumps(document, default=persistence._json_default).encode()
        digest = hashlib.sha256(content).hexdigest()
        if self._saved.get(name) == digest:
            return
        path = Path(persistence.STATE_DIR) / f"{name}.json"
        temporary = path.with_suffix(".saving")
        temporary.write_bytes(content)
        temporary.replace(path)
        self._saved[name] = digest

    def end_functions(self) -> None:
        """End the processes of all functions."""
        self._runtime.reset()
