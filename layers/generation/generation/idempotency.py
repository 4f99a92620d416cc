"""``Idempotency-Key``: a request that is sent again gets the first answer, and costs nothing again.

Follows draft-ietf-httpapi-idempotency-key-header. A failure is not remembered, so its key may be tried again; a call
that crashed holds its key until its function would have timed out. For 24 hours the whole answer, and with it the whole
prompt, is kept in DynamoDB (``generation.answers``), also when the generation is deleted meanwhile.
"""

from collections.abc import Callable

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel

from generation.records import Generation
from generation.services import Service


def once(
    generate: Callable[[], Generation],
    key: str | None,
    *,
    caller: str,
    service: Service,
    request: BaseModel,
    context: LambdaContext,
) -> Generation:
    """The first answer to this key of this caller; ``generate`` is called when there is none, or no key.

    ``caller`` tells the caller from all others (``Api.caller_key``); ``request`` is compared as it is after validation.
    Raises what ``generate`` does, ``Unprocessable`` when the key came with another request before, ``Conflict`` while
    the first one is being answered and, before anything is generated, ``ServiceUnavailable`` when DynamoDB fails.
    """
    if key is None:
        return generate()
    # Takes time to import, and makes a client: only a request with a key needs it.
    from generation import answers

    asked: answers.Asked = {"caller": caller, "key": key, "request": request.model_dump(mode="json")}
    return answers.first(generate, asked, service=service, context=context)
