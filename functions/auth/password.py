"""POST /auth/password: replace the caller's password and end all other sessions."""

from accounts import service
from accounts.errors import WrongPassword
from accounts.requests import PasswordChange
from core.errors import TooManyRequests
from core.http import REQUIRED, Api, Response, no_content

api = Api(caller=REQUIRED)


@api.post("/auth/password", operation_id="changePassword", status_code=204, errors=(WrongPassword, TooManyRequests))
def password(change: PasswordChange) -> Response[None]:
    """204; 403 when the current password is wrong, which counts as a failed login."""
    user = api.user
    service.from_env().change_password(user.sub, user.sid, change.current_password, change.new_password)
    return no_content()


handler = api
