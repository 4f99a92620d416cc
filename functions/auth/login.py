"""POST /auth/login: exchange an email address and a password for tokens."""

from accounts import service
from accounts.models import TokensWithUser
from accounts.requests import Login
from core.http import Api

api = Api()


@api.post("/auth/login")
def login(credentials: Login) -> TokensWithUser:
    """200 with tokens and the user; 401 alike for an unknown user and a wrong password."""
    return service.from_env().login(credentials.email, credentials.password, api.client())


handler = api
