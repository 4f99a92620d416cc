"""Pictures from prompts."""

from typing import Annotated

from core.description import Described
from generation.services import Limits, Service

SERVICE = Service(
    name="image",
    plural="images",
    operation="Image",
    operations="Images",
    schema="Picture",
    tag="Images",
    about="Make pictures, read, list, download and delete them.",
    order=20,
    artifact="image",
    filename="original",
    extensions=("png", "jpg", "webp"),
    shown={
        "size": Annotated[str, Described(examples=["1024x1024"])],
        "seed": Annotated[int, Described("The same seed, prompt and model make the same picture.", examples=[42])],
        # Once one schema described all services; clients made from it know these.
        "voice": Annotated[str, Described("Of speech; no picture has it.", deprecated=True)],
        "durationSeconds": Annotated[float, Described("Of speech; no picture has it.", minimum=0, deprecated=True)],
    },
    providers={
        "pollinations": "generation.pollinations:Pollinations",
        "bedrock": "generation.bedrock:BedrockImage",
        "offline": "offline.image:OfflineImage",
    },
    chain=("pollinations",),
    limits=Limits(user=10, address=2),
    sample={"prompt": "a lighthouse at dawn", "size": "512x512", "seed": 7},
)
