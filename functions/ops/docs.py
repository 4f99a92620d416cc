"""GET /docs: a page to read the description of the API and to try its calls from."""

from typing import Annotated

from core.description import Described
from core.errors import NotFound
from core.http import Api, Response
from ops import page

# Scripts and styles are ours alone; Swagger UI draws its icons from data: URLs.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

api = Api()


@api.get(
    "/docs",
    operation_id="getDocs",
    answers={200: {"": "The page.", "text/html": {"type": "string"}}},
)
def docs() -> Response[str]:
    """200 with the page, in HTML."""
    headers = {"Cache-Control": "public, max-age=300", "Content-Security-Policy": POLICY}
    return Response(200, "text/html; charset=utf-8", page.html(), headers)


@api.get(
    "/docs/{asset}",
    operation_id="getDocsAsset",
    summary="A script or a style of the page",
    answers={200: {"": "The file."} | {kind: {"type": "string"} for kind in sorted(set(page.TYPES.values()))}},
    errors=(NotFound,),
)
def asset(asset: Annotated[str, Described("Its name.", enum=sorted(page.TYPES))]) -> Response[str]:
    """200 with the file; the page asks for each with a digest of its content, so it may be kept for ever."""
    if asset not in page.TYPES:
        raise NotFound("The page has no such file.")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(200, f"{page.TYPES[asset]}; charset=utf-8", page.asset(asset), headers)


handler = api
