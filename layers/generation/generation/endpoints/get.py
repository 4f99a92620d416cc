"""GET /{service}/{id}."""

from core.errors import NotFound
from core.http import JSON, OPTIONAL, Api
from generation import schemas
from generation.library import open_library, prepare
from generation.records import Generation
from generation.services import Service


def get(service: Service) -> Api:
    """The function that answers with one generation of the service, for whoever may read it."""
    api = Api(caller=OPTIONAL, counts_beside=True)
    prepare(service)

    @api.get(
        f"/{service.name}/{{id}}",
        operation_id=f"get{service.operation}",
        answers={200: {JSON: lambda: schemas.generation(service)}},
        errors=(NotFound,),
    )
    def get(record_id: str) -> Generation:
        """200 with the generation; 404 when there is none or it is not the caller's."""
        return open_library(service).get(record_id, api.caller)

    return api
