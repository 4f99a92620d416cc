"""An S3 of the benchmark's own on loopback, and exact counts of what its clients send and receive."""

import contextlib
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from localstack import environments

BUCKET = "llmhist-image-benchmark"
START_SECONDS = 20.0
_CONFIG = Config(
    signature_version="s3v4",
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=64,
    proxies={},
)


@dataclass
class Traffic:
    """Requests by operation, and the bytes of all bodies in both directions; every attempt counts."""

    requests: Counter[str] = field(default_factory=Counter)
    body_bytes: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def of(self, client: Any) -> None:
        """Count what this client does from now on."""
        client.meta.events.register("before-send.s3", self._sent)
        client.meta.events.register("response-received.s3", self._received)

    def reset(self) -> None:
        """Begin at nothing."""
        with self._guard:
            self.requests.clear()
            self.body_bytes = 0

    def _sent(self, request: Any, event_name: str, **_other: Any) -> None:
        length = int(request.headers.get("Content-Length", 0))
        with self._guard:
            self.requests[event_name.rpartition(".")[2]] += 1
            self.body_bytes += length

    def _received(self, response_dict: Mapping[str, Any] | None, event_name: str, **_other: Any) -> None:
        # The length that HEAD tells is of a body that is not sent.
        if response_dict is None or event_name.endswith(".HeadObject"):
            return
        length = int(response_dict["headers"].get("content-length", 0))
        with self._guard:
            self.body_bytes += length


def connect(endpoint: str) -> Any:
    """A client of the S3 at this address."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  the emulator's documented root credentials
        config=_CONFIG,
    )


@contextlib.contextmanager
def serve() -> Iterator[str]:
    """The address of an empty S3 in a process of its own, which keeps its objects in memory, with a bucket."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    command = [
        str(environments.platform().python),
        "-m",
        "hypercorn",
        "ministack.app:app",
        "--bind",
        f"127.0.0.1:{port}",
    ]
    settings = {
        "BIND_HOST": "127.0.0.1",
        "DOCKER_HOST": "unix:///nonexistent",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "LOG_LEVEL": "ERROR",
        "SFTP_ENABLED": "0",
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | settings | {"TMPDIR": folder},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as server,
    ):
        try:
            _create_bucket(endpoint, server)
            yield endpoint
        finally:
            server.terminate()


def _create_bucket(endpoint: str, server: "subprocess.Popen[bytes]") -> None:
    client = connect(endpoint)
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
        except (BotoCoreError, ClientError):
            if time.monotonic() > end or server.poll() is not None:
                raise
            time.sleep(0.1)
        else:
            return
