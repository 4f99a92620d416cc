"""Custom resource: makes the key pair that access tokens are signed with, and rotates it when ``Version`` is raised."""

from typing import Any

from accounts import key_rotation
from core import custom_resource


def handler(event: dict[str, Any], _context: object) -> None:
    """Bring the keys to the version of the event; its attribute ``Jwks`` is the key set that verifies."""
    custom_resource.respond(event, key_rotation.keep)
