"""GET /openapi.json: the description of this API (OpenAPI 3.1)."""

from functools import lru_cache
from pathlib import Path

from core.http import JSON, Api, Response

api = Api()


@lru_cache
def committed() -> str:
    """The description as `make openapi` wrote it."""
    return Path(__file__).with_suffix(".json").read_text()


@api.get(
    "/openapi.json",
    operation_id="getDescription",
    answers={200: {"": "An OpenAPI document.", JSON: {"type": "object", "required": ["openapi", "info", "paths"]}}},
)
def description() -> Response[str]:
    """200 with the description; its server is relative, so it holds wherever it is read from."""
    return Response(200, JSON, committed(), {"Cache-Control": "public, max-age=300"})


handler = api
