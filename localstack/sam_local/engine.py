"""The container engine of this machine, and how its containers reach this machine."""

from __future__ import annotations

import ipaddress
import os
import sys
from dataclasses import dataclass
from typing import Any

from localstack.console import CommandFailed

OF_THIS_MACHINE = "unix://"
DESKTOP_HOST = "host.docker.internal"


@dataclass(frozen=True)
class Engine:
    """An engine that answers.

    ``listen`` is the address on which its containers reach this machine, ``host`` their name for it, and ``peers`` are
    the addresses that they come from.
    """

    client: Any
    listen: str
    host: str
    peers: ipaddress.IPv4Network

    @property
    def options(self) -> list[str]:
        """For SAM: what containers must be told to find this machine."""
        return ["--add-host", f"{DESKTOP_HOST}:host-gateway"] if self.host == DESKTOP_HOST else []


def find() -> Engine:
    """The engine that SAM will use. Raises CommandFailed when none answers, or one on another machine."""
    address = os.environ.get("DOCKER_HOST") or OF_THIS_MACHINE
    if not address.startswith(OF_THIS_MACHINE):
        raise CommandFailed(
            "sam local", f"the engine at {address} may be another machine's", "set DOCKER_HOST to a Unix socket here"
        )
    # SAM takes longer to import than all other commands to run.
    from docker.errors import DockerException  # type: ignore[import-untyped]
    from samcli.local.docker.container_client_factory import (  # type: ignore[import-untyped]
        ContainerClientFactory,
    )
    from samcli.local.docker.exceptions import (  # type: ignore[import-untyped]
        ContainerEnforcementException,
        ContainerNotReachableException,
    )

    try:
        client = ContainerClientFactory.create_client()
    except (ContainerNotReachableException, ContainerEnforcementException) as error:
        raise CommandFailed(
            "sam local", "it needs a Docker engine, and none answers", "start Docker, or set DOCKER_HOST to its socket"
        ) from error
    try:
        if sys.platform != "linux" or "Desktop" in client.info()["OperatingSystem"]:
            return desktop(client)
        return on_linux(client, client.networks.get("bridge").attrs["IPAM"]["Config"])
    except DockerException as error:
        raise CommandFailed("sam local", f"the Docker engine says: {error}", "look at `docker info`") from error


def desktop(client: Any) -> Engine:
    """An engine in a virtual machine that brings its containers to this machine's loopback."""
    return Engine(client, "127.0.0.1", DESKTOP_HOST, ipaddress.IPv4Network("127.0.0.0/8"))


def on_linux(client: Any, networks: list[dict[str, str]]) -> Engine:
    """An engine beside us: containers reach this machine on the bridge's own address. Raises CommandFailed."""
    for network in networks:
        subnet = ipaddress.ip_network(network["Subnet"])
        if isinstance(subnet, ipaddress.IPv4Network):
            address = network.get("Gateway") or str(next(subnet.hosts()))
            return Engine(client, address, address, subnet)
    raise CommandFailed("sam local", "Docker's network `bridge` has no IPv4 address", "look at `docker network ls`")
