"""GET /console: the web page of the platform."""

import os
from pathlib import PurePath
from typing import Annotated

from fastapi.responses import HTMLResponse, PlainTextResponse

from console import files
from core.description import Described
from core.errors import NotFound
from web.application import Application

HEADERS = {
    # The page names the digest of what it loads, so it is asked for each time.
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
}
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}

api = Application()


@api.get("/console", operation_id="getConsole", answers={200: {"": "The page.", "text/html": {"type": "string"}}})
async def page() -> HTMLResponse:
    """200 with the page, in HTML."""
    path = str((api.event.get("requestContext") or {}).get("path") or api.event.get("path") or "")
    # A gateway finds it with a slash at its end, too; links are relative to what the browser asked for.
    prefix = "" if path.endswith("/") else "console/"
    return HTMLResponse(files.page(prefix), headers=HEADERS | {"Content-Security-Policy": files.policy(os.environ)})


@api.get(
    "/console/assets/{version}/{asset}",
    operation_id="getConsoleAsset",
    summary="A script, a style or a picture of the page",
    answers={
        200: {"": "The file."} | {kind.partition(";")[0]: {"type": "string"} for kind in files.TYPES.values()},
    },
    errors=(NotFound,),
)
async def asset(
    version: Annotated[str, Described("The digest that the page names.", examples=["9f86d081884c7d65"])],
    asset: Annotated[str, Described("Its name.", examples=["main.js"])],
) -> PlainTextResponse:
    """200 with the file, which never changes at its address; 404 for one of another version."""
    if version != files.version() or asset not in files.assets():
        raise NotFound("The page has no such file; load the page anew.")
    kind = files.TYPES[PurePath(asset).suffix]
    return PlainTextResponse(files.assets()[asset], headers=FOR_EVER | {"Content-Type": kind})


handler = api
