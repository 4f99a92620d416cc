"""GET /: what this is, and where its description and the page to try it are."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from typing_extensions import TypedDict

from core.description import Described
from core.http import JSON, Api, Response
from ops import openapi

# The page has no script, no style and no picture.
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

api = Api()


class PlatformLinks(TypedDict):
    """Paths of this API."""

    description: Annotated[str, Described(examples=["/openapi.json"])]
    docs: Annotated[str, Described(examples=["/docs"])]
    console: Annotated[str, Described(examples=["/console"])]
    health: Annotated[str, Described(examples=["/healthz"])]


class Platform(TypedDict):
    """The platform's name and version; its description is of the same version."""

    name: Annotated[str, Described(examples=["llm-microservices"])]
    version: str
    links: PlatformLinks


@lru_cache
def about() -> Platform:
    """The platform, as its description says."""
    info = json.loads(openapi.committed())["info"]
    links: PlatformLinks = {
        "description": "/openapi.json",
        "docs": "/docs",
        "console": "/console",
        "health": "/healthz",
    }
    return {"name": info["title"], "version": info["version"], "links": links}


@api.get(
    "/",
    operation_id="getPlatform",
    answers={200: {"": "The platform.", JSON: Platform, "text/html": {"type": "string"}}},
)
def root() -> Response[Platform | str]:
    """200 in JSON or, for a browser, in HTML."""
    headers = {"Cache-Control": "public, max-age=300", "Vary": "Accept"}
    if not _is_browser(api.header("Accept") or ""):
        return Response(200, JSON, about(), headers)
    page = _page().format(**about(), prefix=_prefix((api.event.get("requestContext") or {}).get("path") or "/"))
    return Response(200, "text/html; charset=utf-8", page, headers | {"Content-Security-Policy": POLICY})


@lru_cache
def _page() -> str:
    return (Path(__file__).parent / "page" / "platform.html").read_text()


def _is_browser(accept: str) -> bool:
    """Whether HTML is asked for by its name; browsers do so, and nobody else does unless they want it."""
    kinds = [kind.partition(";")[0].strip().lower() for kind in accept.split(",")]
    return "text/html" in kinds and "application/json" not in kinds


def _prefix(path: str) -> str:
    """What links start with: API Gateway serves a stage's root with a slash at its end and without."""
    last = path.rpartition("/")[2]
    return f"{last}/" if last else ""


handler = api
