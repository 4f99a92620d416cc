"""DELETE /auth/sessions/{id}: end one of the caller's sessions."""

from accounts import own
from core.errors import NotFound
from core.http import REQUIRED, Api, Response, no_content

api = Api(caller=REQUIRED)


@api.delete("/auth/sessions/{id}", operation_id="endSession", status_code=204, errors=(NotFound,))
def end_session(session_id: str) -> Response[None]:
    """204, also when the session had ended before; 404 when it is not one of the caller's."""
    own.from_env().end_session(api.user.sub, session_id)
    return no_content()


handler = api
