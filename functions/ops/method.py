"""ANY of every path: 405 for a method that the path does not have, with those that it has."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Never

from aws_lambda_powertools.utilities.typing import LambdaContext

from core.errors import MethodNotAllowed, NotFound
from core.http import Api
from ops import openapi

api = Api()


@lru_cache
def paths() -> Mapping[str, Mapping[str, object]]:
    """The methods of each path, as the description of the API has them."""
    described: Mapping[str, Mapping[str, object]] = json.loads(openapi.committed())["paths"]
    return described


@api.not_found
def refuse(_error: Exception) -> Never:
    """Refuse the method; the path is the one that the gateway found."""
    methods = paths().get(api.current_event.raw_event["resource"])
    if methods is None:
        raise NotFound("There is no such route.")
    # Whatever answers GET answers HEAD; the gateway itself answers OPTIONS.
    head = ["HEAD"] if "get" in methods else []
    allow = sorted([*(method.upper() for method in methods), *head, "OPTIONS"])
    raise MethodNotAllowed(f"This path answers {', '.join(allow)}.", allow=allow)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer without a look at the body: whatever it is, the method is what is wrong."""
    return api.resolve(event | {"body": "{}", "isBase64Encoded": False}, context)
