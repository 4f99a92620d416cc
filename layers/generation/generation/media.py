"""Tell what a file is by its bytes: PNG, JPEG, WebP and MP3, and whether the file is whole.

Providers answer 200 with error pages and cut files, so neither status nor headers are believed. Every function
takes any bytes, never raises, and reads them once from front to back. Bytes after the end of an image are ignored,
as its readers do.
"""

import re
import struct
import zlib
from typing import NamedTuple


class ImageType(NamedTuple):
    """A kind of image and its size in pixels; ``extension`` has no dot."""

    content_type: str
    extension: str
    width: int
    height: int


def image_type(content: bytes) -> ImageType | None:
    """What image this is; None when it is none of ours, damaged, or cut short."""
    for extension, content_type, read_size in (
        ("png", "image/png", _png_size),
        ("jpg", "image/jpeg", _jpeg_size),
        ("webp", "image/webp", _webp_size),
    ):
        size = read_size(content)
        if size is not None and all(size):
            return ImageType(content_type, extension, *size)
    return None


_Size = tuple[int, int]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _png_size(content: bytes) -> _Size | None:
    """Walk the chunks (PNG 3rd edition §5) from IHDR to IEND, checking the CRC of each critical one."""
    if not content.startswith(_PNG_SIGNATURE):
        return None
    size: _Size | None = None
    has_data = False
    at = len(_PNG_SIGNATURE)
    while at + 12 <= len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        end = at + 8 + length
        if end + 4 > len(content) or (size is None and (name, length) != (b"IHDR", 13)):
            return None
        is_critical = not name[0] & 0x20
        if is_critical and zlib.crc32(memoryview(content)[at + 4 : end]) != struct.unpack_from(">I", content, end)[0]:
            return None
        if name == b"IHDR":
            size = struct.unpack_from(">II", content, at + 8)
        elif name == b"IDAT":
            has_data = True
        elif name == b"IEND":
            return size if has_data else None
        at = end + 4
    return None


# The marker that ends entropy-coded data: FF00 is a stuffed byte, FFD0 to FFD7 are restarts, FFFF is fill.
_JPEG_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_START_OF_SCAN, _JPEG_END = 0xDA, 0xD9


def _jpeg_size(content: bytes) -> _Size | None:
    """Walk the markers (ITU-T T.81 annex B) from SOI to EOI; the size is in the frame header."""
    if not content.startswith(b"\xff\xd8\xff"):
        return None
    size: _Size | None = None
    has_scan = False
    at = 2
    while at + 1 < len(content):
        if content[at] != 0xFF:
            return None
        marker = content[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker == _JPEG_END:
            return size if has_scan else None
        if at + 4 > len(content):
            return None
        (length,) = struct.unpack_from(">H", content, at + 2)
        if marker in _JPEG_FRAMES and length >= 8 and at + 9 <= len(content):
            height, width = struct.unpack_from(">HH", content, at + 5)
            size = width, height
        if length < 2:
            return None
        at += 2 + length
        if marker == _JPEG_START_OF_SCAN:
            has_scan = True
            following = _JPEG_NEXT_MARKER.search(content, at)
            if following is None:
                return None
            at = following.start()
    return None


def _webp_size(content: bytes) -> _Size | None:
    """Walk the RIFF chunks (RFC 9649 §2) as far as the picture; the size is in the first of them."""
    if len(content) < 30 or content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        return None
    end = 8 + int.from_bytes(content[4:8], "little")
    if end > len(content):
        return None
    size = _webp_first_chunk_size(content)
    at = 12
    while at + 8 <= end:
        name, length = struct.unpack_from("<4sI", content, at)
        at += 8 + length + length % 2
        if at > end:
            return None
        if name in (b"VP8 ", b"VP8L", b"ANMF"):
            return size
    return None


def _webp_first_chunk_size(content: bytes) -> _Size | None:
    name = content[12:16]
    if name == b"VP8 " and content[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF
    if name == b"VP8L" and content[20] == 0x2F:
        bits = int.from_bytes(content[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if name == b"VP8X":
        return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
    return None


def mp3_duration(content: bytes) -> float | None:
    """Seconds of sound in an MP3; None when it is not one, or its last frame is cut short.

    Files put one behind another count as one, with the tags between them.
    """
    seconds = 0.0
    at = 0
    while at < len(content):
        tag = _id3_length(content, at)
        if tag:
            at += tag
            continue
        frame = _mp3_frame(content, at)
        if frame is None:
            return None
        at += frame.length
        seconds += frame.seconds
    return seconds if seconds and at == len(content) else None


class _Frame(NamedTuple):
    length: int
    seconds: float


# Kilobits per second by the index in the header, and samples per second of MPEG 1 (ISO 11172-3 §2.4.2.3, 13818-3).
_MPEG1_KILOBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KILOBITS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG1_RATES = (44_100, 48_000, 32_000)
_RATE_DIVISORS = {0b11: 1, 0b10: 2, 0b00: 4}  # MPEG 1, 2, and the unofficial 2.5
_LAYER_3 = 0b01


def _mp3_frame(content: bytes, at: int) -> _Frame | None:
    """The layer III frame at this place; one that only describes the file (``Xing``, ``Info``) is silent."""
    header = int.from_bytes(content[at : at + 4], "big")
    version, layer = header >> 19 & 0b11, header >> 17 & 0b11
    bitrate, rate, padding = header >> 12 & 0xF, header >> 10 & 0b11, header >> 9 & 0b1
    if at + 4 > len(content) or header >> 21 != 0x7FF or version not in _RATE_DIVISORS or layer != _LAYER_3:
        return None
    if bitrate in (0, 15) or rate == 3:
        return None
    is_mpeg1 = version == 0b11
    is_mono = header >> 6 & 0b11 == 0b11
    samples = 1152 if is_mpeg1 else 576
    hertz = _MPEG1_RATES[rate] // _RATE_DIVISORS[version]
    kilobits = (_MPEG1_KILOBITS if is_mpeg1 else _MPEG2_KILOBITS)[bitrate]
    side_information = (17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17)
    described = at + 4 + side_information
    is_description = content[described : described + 4] in (b"Xing", b"Info")
    return _Frame(samples // 8 * kilobits * 1000 // hertz + padding, 0.0 if is_description else samples / hertz)


def _id3_length(content: bytes, at: int) -> int:
    """Bytes of the ID3 tag (version 2 in front, version 1 at the end) at this place; 0 when there is none."""
    if content[at : at + 3] == b"TAG":
        return 128
    head = content[at : at + 10]
    if len(head) < 10 or not head.startswith(b"ID3") or any(byte & 0x80 for byte in head[6:]):
        return 0
    length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    has_footer = bool(head[5] & 0x10)
    return 10 + length + 10 * has_footer
