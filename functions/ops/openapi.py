"""GET /openapi.json: the description of this API (OpenAPI 3.1)."""

from functools import lru_cache
from pathlib import Path

from aws_lambda_powertools.event_handler import Response

from core.http import Api

api = Api()


@lru_cache
def committed() -> str:
    """The description as `make openapi` wrote it."""
    return Path(__file__).with_suffix(".json").read_text()


@api.get(
    "/openapi.json",
    operation_id="getDescription",
    responses={
        200: {
            "description": "An OpenAPI document.",
            "content": {"application/json": {"schema": {"type": "object", "required": ["openapi", "info", "paths"]}}},
        }
    },
)
def description() -> Response[str]:
    """200 with the description; its server is relative, so it holds wherever it is read from."""
    return Response(200, "application/json", committed(), {"Cache-Control": "public, max-age=300"})


handler = api
