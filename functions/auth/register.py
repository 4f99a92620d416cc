"""POST /auth/register: make an account and log it in."""

from accounts import service
from accounts.models import TokensWithUser
from accounts.requests import Registration
from core.errors import Conflict
from core.http import JSON, Api, Response

api = Api()


@api.post("/auth/register", operation_id="register", status_code=201, errors=(Conflict,))
def register(registration: Registration) -> Response[TokensWithUser]:
    """201 with tokens and the user; 409 when the address is taken, without regard to case."""
    answer = service.from_env().register(registration.email, registration.password, api.client)
    return Response(201, JSON, answer)


handler = api
