"""PATCH /chat/sessions/{id}: rename a session, give or take its star, change its model or its system prompt."""

from chat.requests import MAX_BODY_BYTES, ChatSessionChanges
from chat.service import SERVICE
from core.errors import NotFound
from core.http import REQUIRED, Api
from generation import chain, text_chain
from generation.chat.sessions import ChatSession, open_sessions

handler = api = Api(caller=REQUIRED, max_body_bytes=MAX_BODY_BYTES)


@api.patch(f"/{SERVICE.name}/sessions/{{id}}", operation_id="changeChatSession", errors=(NotFound,))
def change(session_id: str, wanted: ChatSessionChanges) -> ChatSession:
    """200 with the session as it is then; 404 when there is none or it is not the caller's."""
    text_chain.candidates(chain.providers(SERVICE), wanted.model)
    changes = wanted.model_dump(exclude_unset=True)
    return open_sessions().change(api.user.sub, session_id, changes).view()
