"""Conversations with language models."""

from typing import Annotated

from core.description import Described
from generation.services import Limits, Service

SERVICE = Service(
    name="chat",
    plural="chats",
    operation="Chat",
    operations="Chats",
    schema="ChatAnswer",
    tag="Chat",
    about="Talk with language models, in sessions that remember; read, list and delete the answers.",
    order=50,
    artifact="text",
    filename="answer",
    extensions=("md",),
    shown={
        "inputTokens": Annotated[int, Described("Tokens that the model read.", minimum=0, examples=[112])],
        "outputTokens": Annotated[int, Described("Tokens that the model wrote.", minimum=0, examples=[87])],
        "tokensEstimated": Annotated[bool, Described("Whether they were counted here; the provider did not say.")],
        "contextMessages": Annotated[
            int, Described("Messages that the model was shown, the prompt among them.", minimum=1, examples=[5])
        ],
        "firstPieceMs": Annotated[
            int, Described("Milliseconds until the first piece, of an answer in pieces.", minimum=0)
        ],
    },
    told={
        "text": Annotated[str, Described("The answer.", examples=["A lighthouse warns ships of rocks."])],
        "sessionId": Annotated[
            str | None, Described("The session that it belongs to; null when it was made anonymously.")
        ],
        "finishReason": Annotated[
            str, Described("`length` when it was cut, `error` when it broke off.", enum=["stop", "length", "error"])
        ],
    },
    providers={
        "bedrock": "generation.bedrock:BedrockText",
        "openai": "generation.openai:OpenAi",
        "pollinations": "generation.pollinations_text:PollinationsText",
        "offline": "model.chat:OfflineChat",
    },
    chain=("bedrock",),
    # No text leaves a machine unless its owner says so.
    local_chain=("offline",),
    limits=Limits(user=20, address=4),
    sample={"prompt": "What is a lighthouse for?"},
    # 32,000 characters of a prompt and 8,000 of a system prompt, each written as two escapes, are 480,000.
    body_bytes=512 * 1024,
    streams=True,
    variables={"CHAT_TABLE": "!Ref ChatTable"},
    user_table="CHAT_TABLE",
)
