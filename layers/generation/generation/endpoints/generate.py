"""POST /{service}/generate."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from core import aws, identity
from core.errors import BadGateway, Conflict, GatewayTimeout
from core.http import JSON, OPTIONAL, Api, Response
from generation import chain, schemas
from generation.idempotency import once
from generation.library import open_library, prepare
from generation.records import Generation
from generation.requests import IdempotencyKey
from generation.services import Service
from generation.usage import failures


@dataclass(frozen=True, slots=True)
class Order:
    """What to ask providers for: their ``request``, the prompt, and the parameters beside it.

    ``prompt`` is kept as the input; the record and the API show ``shown_prompt``, which is all of it unless said.
    ``providers`` are who is asked, and in which order, where the request decides that.
    """

    request: Any
    prompt: str
    params: Mapping[str, Any]
    shown_prompt: str | None = None
    providers: Sequence[Any] | None = None


class Wanted(BaseModel):
    """The body of a generating call."""

    @abstractmethod
    def order(self, providers: Sequence[Any]) -> Order:
        """What to ask these providers for. What the caller left open is decided here, once.

        Raises ``Unprocessable`` for what only the providers together can tell.
        """


def generate(service: Service, model: type[Wanted]) -> Api:
    """The function that makes one generation of the service from a body of this model."""
    api = Api(caller=OPTIONAL, max_body_bytes=service.body_bytes)
    prepare(service)
    aws.at_start(identity.load)
    aws.at_start(lambda: chain.providers(service))

    @api.post(
        f"/{service.name}/generate",
        operation_id=f"generate{service.operation}",
        status_code=201,
        answers={201: {JSON: lambda: schemas.generation(service)}},
        headers=("Location",),
        errors=(Conflict, BadGateway, GatewayTimeout),
    )
    def generate(wanted: model, key: IdempotencyKey = None) -> Response[Generation]:  # type: ignore[valid-type]
        """201 with the generation, which a key that was sent before makes the first one."""
        asked: Wanted = wanted
        providers = chain.providers(service)
        order = asked.order(providers)
        providers = providers if order.providers is None else tuple(order.providers)
        # Before a key is looked up: what nobody can serve is no request to remember.
        able = chain.able(providers, order.request)
        with failures.counted(service, able, order.request, api.caller) as call:
            generation = once(
                lambda: open_library(service).generate(
                    providers,
                    order.request,
                    record_id=call.id,
                    caller=api.caller,
                    prompt=order.prompt,
                    shown_prompt=order.shown_prompt,
                    params=order.params,
                    remaining_ms=api.remaining_ms,
                ),
                key,
                caller=api.caller_key,
                service=service,
                request=asked,
                context=api.context,
            )
        return Response(201, JSON, generation, {"Location": generation["links"]["self"]})

    return api
