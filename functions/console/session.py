"""POST /console/session/token: an access token for the page, whose refresh token stays in a cookie.

The page hands over the refresh token of a login and never gets one back: it is exchanged here at once, and its
successor is in a cookie that no script can read and no other site can have sent.
"""

from typing import Annotated

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from accounts import service
from accounts.requests import RefreshToken
from accounts.settings import REFRESH_TOKEN_LIFETIME
from console import cookie
from core.description import Described
from core.errors import Forbidden, Unauthorized
from core.http import JSON, Api, Response, no_content

api = Api()


class Begun(BaseModel):
    """What to stay logged in with: the refresh token of a login or a registration; without it, the cookie's."""

    # Made, so that the description tells no default.
    refresh_token: RefreshToken = Field(default_factory=str)


class AccessToken(TypedDict):
    """An access token, and for how many seconds it is good."""

    accessToken: Annotated[str, Described("A JWT: goes into `Authorization: Bearer …`.")]
    expiresIn: Annotated[int, Described("Seconds that the access token lives.", minimum=1, examples=[900])]


@api.post(
    "/console/session/token",
    operation_id="getConsoleToken",
    answers={200: {"": "An access token.", JSON: AccessToken}, 204: {"": "Nobody is logged in."}},
    errors=(Unauthorized, Forbidden),
)
def token(begun: Begun) -> Response[AccessToken] | Response[None]:
    """200 with an access token, and the next refresh token in the cookie; 204 without a cookie that is good.

    401 for a refresh token in the body that is not; 403 for a request of another site.
    """
    _require_own_page()
    kept = cookie.kept(api.header("cookie"))
    own = begun.refresh_token or None
    presented = own or kept
    if presented is None:
        return no_content()
    try:
        tokens = service.from_env().refresh(presented)
    except Unauthorized:
        if own:
            raise
        return Response(204, headers=cookie.of(_host(), "", 0))
    if own and kept:
        # Whoever was logged in before is not any more, and not in a list of devices either.
        service.from_env().logout(kept)
    answer: AccessToken = {"accessToken": tokens["accessToken"], "expiresIn": tokens["expiresIn"]}
    header = cookie.of(_host(), tokens["refreshToken"], int(REFRESH_TOKEN_LIFETIME.total_seconds()))
    return Response(200, JSON, answer, header)


@api.delete(
    "/console/session/token",
    operation_id="endConsoleSession",
    summary="End the page's session",
    status_code=204,
    errors=(Forbidden,),
)
def end() -> Response[None]:
    """204, also when nobody is logged in; the cookie is gone."""
    _require_own_page()
    kept = cookie.kept(api.header("cookie"))
    if kept is not None:
        service.from_env().logout(kept)
    return Response(204, headers=cookie.of(_host(), "", 0))


def _require_own_page() -> None:
    """Raise ``Forbidden`` for what a page of another origin has sent; browsers say whose it is."""
    site, origin = api.header("sec-fetch-site"), api.header("origin")
    # An origin is a scheme and a host, and no more.
    foreign = site not in ("same-origin", "none") if site else bool(origin and origin.partition("://")[2] != _host())
    if foreign:
        raise Forbidden("Only the console of this platform may call this.")


def _host() -> str:
    return api.header("host") or ""


handler = api
