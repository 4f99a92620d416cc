"""POST /auth/logout: end the session of a refresh token, or all of its user's."""

from accounts import service
from accounts.requests import LogoutRequest
from core.http import Api, Response, no_content

api = Api()


@api.post("/auth/logout", operation_id="logout", status_code=204)
def logout(request: LogoutRequest) -> Response[None]:
    """204, also when the session had ended before."""
    service.from_env().logout(request.refresh_token, everywhere=request.everywhere)
    return no_content()


handler = api
