"""405 for a method that a path does not have, with those that it has."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Never

from core.errors import MethodNotAllowed, NotFound
from core.http import Api
from ops import openapi


@lru_cache
def paths() -> Mapping[str, Mapping[str, object]]:
    """The methods of each path, as the description of the API has them."""
    described: Mapping[str, Mapping[str, object]] = json.loads(openapi.committed())["paths"]
    return described


class Refusing(Api):
    """Has no route: whatever comes, the method is what is wrong."""

    def without_route(self, event: Mapping[str, Any]) -> Never:
        """Refuse the method; the path is the one that the gateway found. Raises ``MethodNotAllowed``, ``NotFound``."""
        methods = paths().get(event["resource"])
        if methods is None:
            raise NotFound("There is no such route.")
        # Whatever answers GET answers HEAD; the gateway itself answers OPTIONS.
        head = ["HEAD"] if "get" in methods else []
        allow = sorted([*(method.upper() for method in methods), *head, "OPTIONS"])
        raise MethodNotAllowed(f"This path answers {', '.join(allow)}.", allow=allow)


handler = Refusing()
