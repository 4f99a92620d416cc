"""Identifiers, records and index lines for tests."""

from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from generation import records
from generation.chain import Outcome
from generation.cursors import CursorSigner
from generation.providers import Artifact
from generation.records import Line, Record
from generation.services import Service
from image.service import SERVICE as IMAGE
from tests.unit.stand_ins import CONTENT, MP3, PNG, facts_of
from tts.service import SERVICE as SPEECH

# 2026-11-22T13:30:00.123Z
MOMENT = 1_795_354_200_123
DAY = 86_400_000
SIGNER = CursorSigner(b"a key")


def identifier(milliseconds: int = MOMENT, rest: int = 0) -> str:
    """A UUIDv7 of this millisecond, the same one each time."""
    value = milliseconds << 80 | 0x7 << 76 | 0x2 << 62 | rest & (1 << 62) - 1
    return str(UUID(int=value))


IDENTIFIERS = st.builds(identifier, st.integers(0, 253_402_300_799_999), st.integers(0, (1 << 62) - 1))


def image_record(record_id: str | None = None, **changes: Any) -> Record:
    """A record of a picture, changed."""
    record = records.build(
        IMAGE,
        record_id or identifier(),
        caller=None,
        prompt="a fox",
        params={"size": "512x512", "seed": 7, "model": "flux"},
        outcome=Outcome(Artifact(PNG, "image/png", "painter", "brush-1")),
        latency_ms=12,
        input_bytes=99,
    )
    return {**record, **changes}  # type: ignore[typeddict-item]


def speech_record(record_id: str | None = None) -> Record:
    """A record of speech that the second provider made."""
    return records.build(
        SPEECH,
        record_id or identifier(),
        caller=None,
        prompt="hello",
        params={"voice": "en", "model": "gtts"},
        outcome=Outcome(
            Artifact(MP3, "audio/mpeg", "offline", "pico", facts={"durationSeconds": 1.25}), "gtts", "timeout"
        ),
        latency_ms=12,
        input_bytes=99,
    )


def record_of(service: Service, record_id: str | None = None) -> Record:
    """A record of any service."""
    return records.build(
        service,
        record_id or identifier(),
        caller=None,
        prompt=str(next(iter(service.sample.values()))),
        params=dict(list(service.sample.items())[1:]),
        outcome=Outcome(Artifact(CONTENT, service.content_types[0], "stand-in", "model-1", facts=facts_of(service))),
        latency_ms=12,
        input_bytes=99,
    )


def line(record_id: str, service: Service = IMAGE) -> Line:
    """The index line of a record with this id."""
    return records.line(service, image_record(record_id) if service is IMAGE else record_of(service, record_id))
