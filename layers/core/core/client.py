"""Where a request comes from."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

# What one customer is given of IPv6, with 2**64 addresses to send from (RFC 6177).
_IPV6_PREFIX = 64


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """The source address that the gateway saw, and what the sender calls itself, where there are such."""

    ip: str | None = None
    user_agent: str | None = None

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """The client of an API Gateway event. X-Forwarded-For and its like are the sender's own word and not read."""
        source = (event.get("requestContext") or {}).get("identity") or {}
        return cls(ip=source.get("sourceIp"), user_agent=source.get("userAgent"))

    @property
    def network(self) -> str:
        """What to count anonymous requests by: an IPv4 address, or an IPv6 network of 64 bits."""
        try:
            address = ipaddress.ip_address(self.ip or "")
        except ValueError:
            return "unknown"
        if isinstance(address, ipaddress.IPv4Address):
            return str(address)
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), _IPV6_PREFIX), strict=False))
