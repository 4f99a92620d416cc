"""POST /chat/generate: answer a message, whole or in pieces."""

import math
from collections.abc import Iterator

from chat.requests import ChatRequest
from chat.service import SERVICE
from core import aws, identity, streaming
from core.errors import BadGateway, Conflict, GatewayTimeout, NotFound, Unauthorized
from core.http import JSON, OPTIONAL, Api, Response
from generation import chain, schemas
from generation.chat import events
from generation.chat.sessions import open_sessions
from generation.chat.turn import Asked, Conversations, Emit
from generation.idempotency import once
from generation.library import GENERATION_SECONDS, open_library, prepare
from generation.records import Generation
from generation.requests import IdempotencyKey
from generation.usage import failures

handler = api = Api(caller=OPTIONAL, max_body_bytes=SERVICE.body_bytes, counts_beside=True)
prepare(SERVICE)
aws.at_start(identity.load)
aws.at_start(lambda: chain.providers(SERVICE))
STREAM = {"type": "string", "description": "Server-sent events: `start`, `delta`, and `end` or `error`."}


@api.post(
    f"/{SERVICE.name}/generate",
    operation_id="generateChat",
    status_code=201,
    answers={
        200: {"": "In pieces, when asked for.", streaming.EVENT_STREAM: STREAM},
        201: {JSON: lambda: schemas.generation(SERVICE)},
    },
    headers=("Location",),
    errors=(Unauthorized, NotFound, Conflict, BadGateway, GatewayTimeout),
)
def generate(wanted: ChatRequest, key: IdempotencyKey = None) -> Response[Generation] | Response[Iterator[str]]:
    """201 with the answer or, with ``stream`` or ``Accept: text/event-stream``, 200 with its pieces as events.

    A user's message without ``sessionId`` begins a session; 409 while the session answers another message. A key that
    was sent before makes the answer the first one.
    """
    in_pieces = wanted.stream or streaming.EVENT_STREAM in (api.header("accept") or "")
    if wanted.session_id is None or key is not None or in_pieces:
        api.admit()  # there is nothing to do beside
    asked = Asked(wanted.prompt, wanted.session_id, wanted.model, wanted.system, wanted.temperature, wanted.max_tokens)
    conversations = Conversations(open_library(SERVICE), open_sessions(), chain.providers(SERVICE))
    # In the thread of a stream the next request must not be looked at.
    caller, caller_key, context = api.caller, api.caller_key, api.context
    # Where pieces leave as they come, the gateway waits as long as the function may run.
    seconds = math.inf if in_pieces and streaming.is_available() else GENERATION_SECONDS

    def answer(emit: Emit | None) -> Generation:
        with failures.counted(SERVICE, conversations.providers, wanted, caller) as call:
            return once(
                lambda: conversations.answer(
                    asked,
                    caller=caller,
                    remaining_ms=context.get_remaining_time_in_millis(),
                    emit=emit,
                    seconds=seconds,
                    call=call,
                    admit=api.admit,
                ),
                key,
                caller=caller_key,
                service=SERVICE,
                request=wanted,
                context=context,
            )

    if in_pieces:
        return api.stream(events.of(answer, api.request_id))
    generation = answer(None)
    return Response(201, JSON, generation, {"Location": generation["links"]["self"]})
