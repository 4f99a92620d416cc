"""GET /chat/sessions/{id}: one session of the caller's."""

from chat.service import SERVICE
from core.errors import NotFound
from core.http import REQUIRED, Api
from generation.chat.sessions import ChatSession, open_sessions

handler = api = Api(caller=REQUIRED)


@api.get(f"/{SERVICE.name}/sessions/{{id}}", operation_id="getChatSession", errors=(NotFound,))
def session(session_id: str) -> ChatSession:
    """200 with the session; 404 when there is none or it is not the caller's."""
    return open_sessions().get(api.user.sub, session_id).view()
