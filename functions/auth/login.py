"""POST /auth/login: exchange an email address and a password for tokens."""

from accounts import service
from accounts.models import TokensWithUser
from accounts.requests import Login
from core.errors import TooManyRequests, Unauthorized
from core.http import Api

api = Api()


@api.post("/auth/login", operation_id="login", errors=(Unauthorized, TooManyRequests))
def login(credentials: Login) -> TokensWithUser:
    """200 with tokens and the user; 401 alike for an unknown user and a wrong password, 429 after too many of them."""
    return service.from_env().login(credentials.email, credentials.password, api.client)


handler = api
