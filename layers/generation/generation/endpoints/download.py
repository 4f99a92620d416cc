"""GET /{service}/{id}/download."""

from core.errors import NotFound
from core.http import JSON, OPTIONAL, Api, Response
from core.query import Flag
from generation import schemas
from generation.library import Download, open_library, prepare
from generation.services import Service


def download(service: Service) -> Api:
    """The function that answers with a signed URL of one artifact of the service."""
    api = Api(caller=OPTIONAL, counts_beside=True)
    prepare(service)

    @api.get(
        f"/{service.name}/{{id}}/download",
        operation_id=f"download{service.operation}",
        answers={200: {"": "The URL.", JSON: lambda: schemas.download(service)}, 302: {"": "To the URL."}},
        errors=(NotFound,),
    )
    def download(record_id: str, redirect: Flag = False) -> Response[Download | None]:
        """200 with the URL or, with ``redirect=true``, 302 to it; 404 like the generation itself."""
        answer = open_library(service).download(record_id, api.caller)
        if redirect:
            # Where nothing is said, API Gateway says application/json, which an empty body is not.
            return Response(302, "text/plain", headers={"Location": answer["url"]})
        return Response(200, JSON, answer)

    return api
