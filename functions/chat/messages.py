"""GET /chat/sessions/{id}/messages: what was said in a session, newest first."""

from chat.service import SERVICE
from core.errors import NotFound
from core.http import REQUIRED, Api
from core.query import Cursor, Limit
from generation import cursors
from generation.chat.messages import ChatMessages, Messages
from generation.chat.sessions import open_sessions
from generation.chat.turn import Conversations
from generation.library import open_library

handler = api = Api(caller=REQUIRED)


@api.get(f"/{SERVICE.name}/sessions/{{id}}/messages", operation_id="listChatMessages", errors=(NotFound,))
def messages(session_id: str, limit: Limit = 20, cursor: Cursor = None) -> ChatMessages:
    """200 with a page of messages; 404 when there is no such session or it is not the caller's."""
    sessions, library = open_sessions(), open_library(SERVICE)
    found = Conversations(library, sessions, ()).settle(sessions.get(api.user.sub, session_id))
    stored = Messages(library.bucket, found.key, found.segment)
    return stored.page(cursors.signer(), limit=limit, cursor=cursor, without=found.unsettled)
