"""DELETE /image/{id}: remove a picture, its record and its line in the history."""

from aws_lambda_powertools.event_handler import Response

from core.errors import NotFound
from core.http import REQUIRED, Api, no_content
from generation.library import open_library
from generation.services import IMAGE

api = Api(caller=REQUIRED)


@api.delete("/image/<record_id>", operation_id="deleteImage", status_code=204, errors=(NotFound,))
def delete(record_id: str) -> Response[None]:
    """204 for the owner or an administrator, again and again; 404 for anybody else."""
    open_library(IMAGE).delete(record_id, api.user)
    return no_content()


handler = api
