"""DELETE /auth/sessions/{id}: end one of the caller's sessions."""

from aws_lambda_powertools.event_handler import Response

from accounts import service
from core.errors import NotFound
from core.http import REQUIRED, Api, no_content

api = Api(caller=REQUIRED)


@api.delete("/auth/sessions/<session_id>", operation_id="endSession", status_code=204, errors=(NotFound,))
def end_session(session_id: str) -> Response[None]:
    """204, also when the session had ended before; 404 when it is not one of the caller's."""
    service.from_env().end_session(api.user.sub, session_id)
    return no_content()


handler = api
