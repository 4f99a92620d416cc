"""POST /auth/refresh: exchange a refresh token, once, for a new pair."""

from accounts import service
from accounts.models import Tokens
from accounts.requests import RefreshRequest
from core.errors import Unauthorized
from core.http import Api

api = Api()


@api.post("/auth/refresh", operation_id="refreshTokens", errors=(Unauthorized,))
def refresh(request: RefreshRequest) -> Tokens:
    """200 with tokens; 401 when the token is unknown, expired, revoked or reused."""
    return service.from_env().refresh(request.refresh_token)


handler = api
