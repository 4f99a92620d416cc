"""DELETE /tts/{id}: remove speech, its record and its line in the history."""

from aws_lambda_powertools.event_handler import Response

from core.http import Api, no_content
from generation.library import open_library
from generation.services import SPEECH

api = Api()


@api.delete("/tts/<record_id>")
def delete(record_id: str) -> Response[None]:
    """204 for the owner or an administrator, again and again; 404 for anybody else."""
    open_library(SPEECH).delete(record_id, api.user())
    return no_content()


handler = api
