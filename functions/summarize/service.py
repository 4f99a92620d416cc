"""Summaries of texts."""

from typing import Annotated

from core.description import Described
from generation.services import Limits, Service

SERVICE = Service(
    name="summarize",
    plural="summaries",
    operation="Summary",
    operations="Summaries",
    schema="Summary",
    tag="Summaries",
    about="Summarise texts, read, list, download and delete the summaries.",
    order=40,
    artifact="text",
    filename="summary",
    extensions=("txt", "md"),
    shown={
        "length": Annotated[str, Described(enum=["short", "medium", "long"])],
        "style": Annotated[str, Described(enum=["paragraph", "bullets"])],
        "language": Annotated[str, Described("Of the summary; not there where it is not known.", examples=["en"])],
        "sourceCharacters": Annotated[int, Described("Length of the text.", minimum=1, examples=[5120])],
        "inputTokens": Annotated[int, Described("Of all calls to the model.", minimum=0, examples=[1300])],
        "outputTokens": Annotated[int, Described("Of all calls to the model.", minimum=0, examples=[90])],
        "tokensEstimated": Annotated[bool, Described("The provider did not tell; they were counted here.")],
    },
    told={"summary": Annotated[str, Described("Bullets are a list in Markdown.")]},
    providers={
        "bedrock": "generation.summarizers.bedrock:BedrockSummary",
        "openai": "generation.summarizers.openai:OpenaiSummary",
        "pollinations": "generation.summarizers.pollinations:PollinationsSummary",
        "offline": "offline.summary:OfflineSummary",
    },
    chain=("bedrock",),
    # No text leaves a machine unless its owner says so.
    local_chain=("offline",),
    limits=Limits(user=10, address=2),
    sample={
        "text": "The harbour of the old town was rebuilt after the storm. Its walls are of thicker stone now. "
        "The town hopes that no storm will break them. Fishermen came back in spring. The market has fish again.",
        "length": "short",
    },
    body_bytes=512 * 1024,
)
