"""GET /admin/{plural}."""

from core.errors import Forbidden, NotFound
from core.http import JSON, REQUIRED, Api
from core.query import Cursor, FromDay, Limit, ToDay, UserId
from generation import schemas
from generation.library import Items, open_library, prepare
from generation.services import Service


def list(service: Service) -> Api:
    """The function that answers with a page of a user's history of the service."""
    api = Api(caller=REQUIRED, counts_beside=True)
    prepare(service)

    @api.get(
        f"/admin/{service.plural}",
        operation_id=f"list{service.operations}",
        answers={200: {JSON: lambda: schemas.page(service)}},
        errors=(Forbidden, NotFound),
    )
    def history(
        limit: Limit = 20,
        cursor: Cursor = None,
        first_day: FromDay = None,
        last_day: ToDay = None,
        user_id: UserId = None,
    ) -> Items:
        """200 with a page of the history; 403 for another user's, unless the caller is an administrator."""
        return open_library(service).list(
            api.user, limit=limit, cursor=cursor, first_day=first_day, last_day=last_day, user_id=user_id
        )

    return api
