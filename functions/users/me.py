"""GET /users/me: the account of the caller."""

from accounts import own
from accounts.models import User
from core.http import REQUIRED, Api

api = Api(caller=REQUIRED)


@api.get("/users/me", operation_id="getMe")
def me() -> User:
    """200 with the user."""
    return own.from_env().me(api.user.sub)


handler = api
