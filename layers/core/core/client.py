"""Where a request comes from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """The source address that the gateway saw, and what the sender calls itself, where there are such."""

    ip: str | None = None
    user_agent: str | None = None
