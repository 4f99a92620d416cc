"""POST /chat/sessions: begin a session."""

from chat.requests import MAX_BODY_BYTES, NewChatSession
from chat.service import SERVICE
from core.http import JSON, REQUIRED, Api, Response
from generation import chain, text_chain
from generation.chat.sessions import ChatSession, open_sessions

handler = api = Api(caller=REQUIRED, max_body_bytes=MAX_BODY_BYTES)


@api.post(f"/{SERVICE.name}/sessions", operation_id="createChatSession", status_code=201, headers=("Location",))
def create(wanted: NewChatSession) -> Response[ChatSession]:
    """201 with the session; 422 for a model that is not offered."""
    text_chain.candidates(chain.providers(SERVICE), wanted.model)
    made = open_sessions().create(api.user.sub, title=wanted.title, model=wanted.model, system=wanted.system).view()
    return Response(201, JSON, made, {"Location": f"/{SERVICE.name}/sessions/{made['id']}"})
