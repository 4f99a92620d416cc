"""GET /image/{id}: one generation, for whoever may read it."""

from core.errors import NotFound
from core.http import OPTIONAL, Api
from generation.library import open_library
from generation.records import Generation
from generation.services import IMAGE

api = Api(caller=OPTIONAL)


@api.get("/image/<record_id>", operation_id="getImage", errors=(NotFound,))
def get(record_id: str) -> Generation:
    """200 with the generation; 404 when there is none or it is not the caller's."""
    return open_library(IMAGE).get(record_id, api.caller)


handler = api
