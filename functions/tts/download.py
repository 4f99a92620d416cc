"""GET /tts/{id}/download: a signed URL of speech."""

from aws_lambda_powertools.event_handler import Response

from core.errors import NotFound
from core.http import OPTIONAL, Api
from core.query import Flag
from generation.library import Download, open_library
from generation.services import SPEECH

api = Api(caller=OPTIONAL)


@api.get(
    "/tts/<record_id>/download",
    operation_id="downloadSpeech",
    responses={
        200: {"description": "The URL.", "content": {"application/json": {"model": Download}}},
        302: {"description": "To the URL."},
    },
    errors=(NotFound,),
)
def download(record_id: str, redirect: Flag = False) -> Response[Download | None]:
    """200 with the URL or, with ``redirect=true``, 302 to it; 404 like the generation itself."""
    answer = open_library(SPEECH).download(record_id, api.caller)
    if redirect:
        # Where nothing is said, API Gateway says application/json, which an empty body is not.
        return Response(302, "text/plain", headers={"Location": answer["url"]})
    return Response(200, "application/json", answer)


handler = api
