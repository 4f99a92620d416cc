"""LocalStack's process, on loopback only, with what its free edition lacks without Docker; and the API at its root.

`python serve.py --aws-port N --api-port N --endpoint FILE`; LocalStack's own settings are variables of the environment.
"""

import argparse
import functools
import importlib
import json
import runpy
from pathlib import Path
from typing import Any

import cold_starts
import custom_resources
import event_source_mappings
import moto_dynamodb
import process_executor
import streaming_routes

LOOPBACK = "127.0.0.1"


class Endpoint:
    """The API's place behind the gateway, as the deployment notes it in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read: tuple[tuple[int, int], bytes] = ((0, 0), b"")

    def prefix(self) -> bytes:
        """What goes before the path of a request; nothing while no API is deployed."""
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return b""
        version = found.st_ino, found.st_mtime_ns
        if version != self._read[0]:
            content = json.loads(self._file.read_text())
            self._read = version, f"/_aws/execute-api/{content['apiId']}/{content['stage']}".encode()
        return self._read[1]


def _listen_on_loopback(api_port: int, endpoint: Endpoint) -> None:
    """LocalStack's server takes no notice of the address in GATEWAY_LISTEN; our port has the API at its root."""
    endpoints: Any = importlib.import_module("twisted.internet.endpoints")
    endpoints.TCP4ServerEndpoint = functools.partial(endpoints.TCP4ServerEndpoint, interface=LOOPBACK)
    reactor = importlib.import_module("twisted.internet.reactor")
    serving = importlib.import_module("rolo.serving.twisted")
    runtime_server = importlib.import_module("localstack.runtime.server.twisted").TwistedRuntimeServer
    register = runtime_server.register

    class ApiRequest(serving.TwistedRequestAdapter):  # type: ignore[misc, name-defined]
        """A request to the API, whatever its path says."""

        def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802  twisted's name
            prefix = endpoint.prefix()
            super().requestReceived(command, (prefix or b"/_aws/execute-api/none/none") + path, version)

    def registered(server: Any, gateway: Any, listen: Any, ssl_creds: Any = None) -> None:
        register(server, gateway, listen, ssl_creds)
        site = serving.TwistedGateway(gateway)
        site.requestFactory = ApiRequest
        endpoints.TCP4ServerEndpoint(reactor, api_port).listen(site)

    runtime_server.register = registered


def main() -> None:
    """Run LocalStack until SIGTERM."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--api-port", type=int, required=True)
    parser.add_argument("--endpoint", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True, help="the interpreter of the functions")
    parser.add_argument("--folder", type=Path, required=True, help="for merged layers and logs")
    options = parser.parse_args()
    process_executor.install(options.python, options.folder)
    cold_starts.install()
    custom_resources.install()
    event_source_mappings.install()
    moto_dynamodb.install()
    streaming_routes.install()
    _listen_on_loopback(options.api_port, Endpoint(options.endpoint))
    runpy.run_module("localstack.runtime.main", run_name="__main__")


if __name__ == "__main__":
    main()
