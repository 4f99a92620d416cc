"""GET /auth/sessions: where the caller is logged in."""

from accounts import own
from accounts.models import Sessions
from core.http import REQUIRED, Api

api = Api(caller=REQUIRED)


@api.get("/auth/sessions", operation_id="listSessions")
def sessions() -> Sessions:
    """200 with the caller's sessions that live, the last used first."""
    return {"items": own.from_env().live_sessions(api.user.sub, api.user.sid)}


handler = api
