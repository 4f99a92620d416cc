"""GET /admin/images: the caller's history, newest first; an administrator may ask for anybody's."""

from core.errors import Forbidden, NotFound
from core.http import REQUIRED, Api
from generation.library import Items, open_library
from generation.requests import Cursor, FromDay, Limit, ToDay, UserId
from generation.services import IMAGE

api = Api(caller=REQUIRED)


@api.get("/admin/images", operation_id="listImages", errors=(Forbidden, NotFound))
def history(
    limit: Limit = 20,
    cursor: Cursor = None,
    first_day: FromDay = None,
    last_day: ToDay = None,
    user_id: UserId = None,
) -> Items:
    """200 with a page of the history; 403 for another user's, unless the caller is an administrator."""
    return open_library(IMAGE).list(
        api.user, limit=limit, cursor=cursor, first_day=first_day, last_day=last_day, user_id=user_id
    )


handler = api
