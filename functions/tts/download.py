"""GET /tts/{id}/download: a signed URL of speech."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from core.http import Api
from generation.library import Download, open_library
from generation.services import SPEECH

api = Api()


@api.get("/tts/<record_id>/download")
def download(record_id: str, redirect: Annotated[bool, Query()] = False) -> Response[Download | None]:
    """200 with the URL or, with ``redirect=true``, 302 to it; 404 like the generation itself."""
    answer = open_library(SPEECH).download(record_id, api.caller())
    if redirect:
        return Response(302, headers={"Location": answer["url"]})
    return Response(200, "application/json", answer)


handler = api
