"""GET /users/me: the account of the caller."""

from accounts import service
from accounts.models import User
from core.http import REQUIRED, Api

api = Api(caller=REQUIRED)


@api.get("/users/me", operation_id="getMe")
def me() -> User:
    """200 with the user."""
    return service.from_env().me(api.user.sub)


handler = api
