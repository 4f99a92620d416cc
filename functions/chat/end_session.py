"""DELETE /chat/sessions/{id}: remove a session with its messages and answers."""

from chat.service import SERVICE
from core.errors import NotFound
from core.http import REQUIRED, Api, Response, no_content
from generation.chat.removal import Removal, from_env
from generation.chat.sessions import open_sessions
from generation.library import open_library
from generation.providers import Deadline

# What takes longer goes on behind the caller's back.
INLINE_SECONDS = 3.0

handler = api = Api(caller=REQUIRED)


@api.delete(f"/{SERVICE.name}/sessions/{{id}}", operation_id="endChatSession", status_code=204, errors=(NotFound,))
def end(session_id: str) -> Response[None]:
    """204: it is hidden at once, and so is what it held soon. 404 when there is none or it is not the caller's."""
    sessions = open_sessions()
    session = sessions.mark(api.user.sub, session_id)
    if not Removal(open_library(SERVICE), sessions).remove(session, Deadline(INLINE_SECONDS)):
        from_env().send([session.key])
    return no_content()
