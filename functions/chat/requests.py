"""The fields of requests about conversations."""

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from generation.requests import JSON_INTEGER, ModelName, Prompt

MAX_BODY_BYTES = 128 * 1024

SystemPrompt = Annotated[Prompt, Field(max_length=8000, examples=["You are a lighthouse keeper."])]
Title = Annotated[Prompt, StringConstraints(max_length=200), Field(examples=["Lighthouses"])]


class ChatRequest(BaseModel):
    """A message to answer."""

    prompt: Annotated[Prompt, Field(max_length=32_000, examples=["What is a lighthouse for?"])]
    session_id: Annotated[str | None, Field(alias="sessionId", max_length=64)] = None
    model: ModelName | None = None
    system: SystemPrompt | None = None
    temperature: Annotated[float, Field(strict=True, ge=0, le=2)] | None = None
    max_tokens: Annotated[
        Annotated[int, Field(strict=True, ge=1, le=8192), JSON_INTEGER] | None, Field(alias="maxTokens")
    ] = None
    stream: Annotated[bool, Field(strict=True)] = False


class NewChatSession(BaseModel):
    """A session to begin."""

    title: Title | None = None
    model: ModelName | None = None
    system: SystemPrompt | None = None


class ChatSessionChanges(BaseModel):
    """What to change of a session: null takes its model or its system prompt away."""

    # Made, so that the description tells no default: what is not sent stays as it is.
    title: Title = Field(default_factory=str)
    starred: Annotated[bool, Field(strict=True)] = Field(default_factory=bool)
    model: ModelName | None = None
    system: SystemPrompt | None = None
