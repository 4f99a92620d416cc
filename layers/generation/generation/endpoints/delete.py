"""DELETE /{service}/{id}."""

from core.errors import NotFound
from core.http import REQUIRED, Api, Response, no_content
from generation.library import open_library, prepare
from generation.services import Service


def delete(service: Service) -> Api:
    """The function that removes one generation of the service."""
    api = Api(caller=REQUIRED)
    prepare(service)

    @api.delete(
        f"/{service.name}/{{id}}", operation_id=f"delete{service.operation}", status_code=204, errors=(NotFound,)
    )
    def delete(record_id: str) -> Response[None]:
        """204 for the owner or an administrator, again and again; 404 for anybody else."""
        open_library(service).delete(record_id, api.user)
        return no_content()

    return api
