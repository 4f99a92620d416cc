"""GET /chat/models: the models that may be asked for."""

from typing import Annotated

from typing_extensions import TypedDict

from chat.service import SERVICE
from core.description import Described
from core.http import Api
from generation import chain


class ChatModel(TypedDict):
    """A model, and how many tokens a conversation with it may have."""

    id: Annotated[str, Described("What `model` names.", examples=["smollm2-135m"])]
    provider: Annotated[str, Described("Who is asked for it.", examples=["offline"])]
    contextTokens: Annotated[int, Described("Tokens of prompt and answer together.", minimum=1, examples=[2048])]
    default: Annotated[bool, Described("Whether it answers when no model is named.")]


class ChatModels(TypedDict):
    """What this stack offers, in the order in which it is asked."""

    items: list[ChatModel]


api = Api()


@api.get("/chat/models", operation_id="listChatModels")
def models() -> ChatModels:
    """200 with the models."""
    found = [(provider.name, model) for provider in chain.providers(SERVICE) for model in provider.models]
    return {
        "items": [
            {"id": model.id, "provider": name, "contextTokens": model.context_tokens, "default": place == 0}
            for place, (name, model) in enumerate(found)
        ]
    }


handler = api
