"""Small real media: pictures by Pillow, speech-like MP3 by LAME."""

import io
import math
import random
import struct
import zlib
from functools import lru_cache

import lameenc  # type: ignore[import-not-found]
from PIL import Image

SAMPLE_RATE = 24_000  # what Google sends: MPEG 2, mono
BITRATE_KBIT = 64
SECONDS_PER_CHARACTER = 0.02


def picture(image_format: str, width: int = 64, height: int = 48, seed: int = 0) -> bytes:
    """A picture in the format (PNG, JPEG, WEBP): a plain colour that follows the seed, with some noise in a corner;
    the same bytes every time."""
    colour = ((seed * 37) % 256, (seed * 91) % 256, (seed * 53) % 256)
    image = Image.new("RGB", (width, height), colour)
    image.paste(Image.frombytes("RGB", (16, 16), random.Random(seed).randbytes(16 * 16 * 3)), (4, 4))
    buffer = io.BytesIO()
    image.save(buffer, image_format)
    return buffer.getvalue()


@lru_cache(maxsize=512)
def speech(text: str, *, slow: bool = False) -> bytes:
    """An MP3 as long as the text would take, a tone whose pitch follows the text; the same bytes every time."""
    return mp3(len(text) * SECONDS_PER_CHARACTER * (1.5 if slow else 1.0), pitch=200 + zlib.crc32(text.encode()) % 800)


def mp3(seconds: float, *, pitch: float = 440.0, sample_rate: int = SAMPLE_RATE, kbit: int = BITRATE_KBIT) -> bytes:
    """A tone as MP3, mono, at a constant bitrate."""
    count = round(seconds * sample_rate)
    step = 2 * math.pi * pitch / sample_rate
    samples = struct.pack(f"<{count}h", *(round(8000 * math.sin(step * index)) for index in range(count)))
    encoder = lameenc.Encoder()
    encoder.set_channels(1)
    encoder.set_in_sample_rate(sample_rate)
    encoder.set_out_sample_rate(sample_rate)
    encoder.set_bit_rate(kbit)
    encoder.set_quality(7)
    encoder.silence()
    return bytes(encoder.encode(samples) + encoder.flush())
