"""Speech from texts."""

from typing import Annotated

from core.description import Described
from generation.services import Limits, Service

SERVICE = Service(
    name="tts",
    plural="audios",
    operation="Speech",
    operations="Speech",
    schema="Speech",
    tag="Speech",
    about="Make speech, read, list, download and delete it.",
    order=30,
    aliases=("speech",),
    artifact="audio",
    filename="output",
    extensions=("mp3",),
    shown={
        "voice": Annotated[str, Described(examples=["en"])],
        "durationSeconds": Annotated[float, Described(minimum=0, examples=[3.4])],
        # Once one schema described all services; clients made from it know these.
        "size": Annotated[str, Described("Of pictures; no speech has it.", deprecated=True)],
        "seed": Annotated[int, Described("Of pictures; no speech has it.", deprecated=True)],
    },
    providers={
        "gtts": "generation.google_tts:GoogleTts",
        "polly": "generation.polly:Polly",
        "offline": "offline.speech:OfflineSpeech",
    },
    chain=("gtts",),
    limits=Limits(user=20, address=5),
    sample={"prompt": "Good morning. The platform works.", "voice": "en"},
)
