"""A route is found before its path is decoded, as API Gateway does it. MiniStack 1.5 decodes first.

`/image/{id}%2Fdownload` was the download, so with a slash in an id a caller chose another route.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes


def segments(scope: Mapping[str, Any]) -> str:
    """The path of an ASGI scope, decoded but for the slashes within its segments."""
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    decoded = (unquote_to_bytes(segment).replace(b"/", b"%2F") for segment in raw.split(b"/"))
    return b"/".join(decoded).decode(errors="replace")
