"""DELETE /tts/{id}: remove speech, its record and its line in the history."""

from aws_lambda_powertools.event_handler import Response

from core.errors import NotFound
from core.http import REQUIRED, Api, no_content
from generation.library import open_library
from generation.services import SPEECH

api = Api(caller=REQUIRED)


@api.delete("/tts/<record_id>", operation_id="deleteSpeech", status_code=204, errors=(NotFound,))
def delete(record_id: str) -> Response[None]:
    """204 for the owner or an administrator, again and again; 404 for anybody else."""
    open_library(SPEECH).delete(record_id, api.user)
    return no_content()


handler = api
