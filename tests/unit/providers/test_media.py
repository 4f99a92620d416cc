"""What a file is, by its bytes."""

import io
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.fakes import media_samples

from generation.media import ImageType, image_type, mp3_duration

FORMATS = {"PNG": ("image/png", "png"), "JPEG": ("image/jpeg", "jpg"), "WEBP": ("image/webp", "webp")}
HTML = b"<!DOCTYPE html><html><body>Queue full</body></html>"


def saved(image_format: str, image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize(("width", "height"), [(64, 48), (1, 1), (513, 300), (2048, 64)])
def test_an_image_is_known_with_its_size(image_format: str, width: int, height: int) -> None:
    assert image_type(media_samples.picture(image_format, width, height)) == ImageType(
        *FORMATS[image_format], width, height
    )


@pytest.mark.parametrize(
    ("image_format", "options"),
    [
        ("JPEG", {"progressive": True}),
        ("JPEG", {"restart_marker_rows": 1, "quality": 95}),
        ("JPEG", {"comment": b"\xff\xd9 not the end", "exif": Image.Exif()}),
        ("PNG", {"compress_level": 0}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"lossless": True, "exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}),
    ],
)
def test_the_variants_of_a_format_are_known(image_format: str, options: dict[str, object]) -> None:
    image = Image.effect_noise((120, 80), 60).convert("RGB")
    assert image_type(saved(image_format, image, **options)) == ImageType(*FORMATS[image_format], 120, 80)


@pytest.mark.parametrize("mode", ["RGBA", "P", "L"])
def test_png_and_webp_with_alpha_palette_or_grey_are_known(mode: str) -> None:
    image = Image.new(mode, (30, 20))
    assert image_type(saved("PNG", image)) == ImageType("image/png", "png", 30, 20)
    assert image_type(saved("WEBP", image)) == ImageType("image/webp", "webp", 30, 20)


def test_an_animated_webp_is_known() -> None:
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "blue")]
    assert image_type(saved("WEBP", frames[0], save_all=True, append_images=frames[1:])) == ImageType(
        "image/webp", "webp", 30, 20
    )


@pytest.mark.parametrize("image_format", FORMATS)
def test_an_image_cut_anywhere_is_not_an_image(image_format: str) -> None:
    content = media_samples.picture(image_format, 40, 30)
    assert all(image_type(content[:length]) is None for length in range(len(content)))


@pytest.mark.parametrize("image_format", FORMATS)
def test_bytes_behind_the_end_do_not_matter(image_format: str) -> None:
    assert image_type(media_samples.picture(image_format) + b"trailing bytes") is not None


def test_a_png_with_a_damaged_chunk_is_not_an_image() -> None:
    content = bytearray(media_samples.picture("PNG"))
    content[60] ^= 0x01
    assert image_type(bytes(content)) is None


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


HEADER = (b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0))
DATA, END = (b"IDAT", b"x"), (b"IEND", b"")


@pytest.mark.parametrize(
    ("chunks", "is_image"),
    [
        ((HEADER, DATA, END), True),
        ((HEADER, (b"tEXt", b"a comment"), DATA, END), True),
        ((HEADER, END), False),
        ((DATA, END), False),
        ((HEADER, DATA), False),
        (((b"IHDR", struct.pack(">IIBBBBB", 0, 2, 8, 0, 0, 0, 0)), DATA, END), False),
        (((b"IHDR", b"short"), DATA, END), False),
    ],
    ids=["whole", "text", "no data", "no header", "no end", "no width", "short header"],
)
def test_a_png_needs_header_data_and_end(chunks: tuple[tuple[bytes, bytes], ...], is_image: bool) -> None:
    assert (image_type(png(*chunks)) is not None) == is_image


def test_a_damaged_comment_does_not_make_a_png_useless() -> None:
    content = png(HEADER, (b"tEXt", b"a comment"), DATA, END).replace(b"a comment", b"A comment")
    assert image_type(content) is not None


FRAME = b"\xff\xc0\x00\x0b\x08\x00\x10\x00\x20\x01\x01\x11\x00"
SCAN = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"data\xff\x00\xff\xd0more"


@pytest.mark.parametrize(
    ("content", "is_image"),
    [
        (b"\xff\xd8" + FRAME + SCAN + b"\xff\xd9", True),
        (b"\xff\xd8\xff\xff" + FRAME + SCAN + b"\xff\xff\xff\xd9", True),
        (b"\xff\xd8" + FRAME + b"\xff\xd9", False),
        (b"\xff\xd8" + SCAN + b"\xff\xd9", False),
        (b"\xff\xd8" + FRAME + b"junk" + SCAN + b"\xff\xd9", False),
        (b"\xff\xd8\xff\xe0\x00\x01" + FRAME + SCAN + b"\xff\xd9", False),
        (b"\xff\xd8" + FRAME + SCAN, False),
        (b"\xff\xd8\xff\xe0\xff", False),
    ],
    ids=["whole", "fill", "no scan", "no frame", "junk", "impossible length", "no end", "cut in a length"],
)
def test_a_jpeg_needs_a_frame_a_scan_and_an_end(content: bytes, is_image: bool) -> None:
    assert image_type(content) == (ImageType("image/jpeg", "jpg", 32, 16) if is_image else None)


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"JUNK", b"\0" * 40)],
        [(b"VP8 ", b"\0" * 40)],
        [(b"VP8L", b"\0" * 40)],
        [(b"VP8X", b"\0" * 10), (b"EXIF", b"\0" * 20)],
    ],
    ids=["unknown chunk", "no start code", "no signature", "no picture"],
)
def test_a_webp_needs_a_picture(chunks: list[tuple[bytes, bytes]]) -> None:
    assert image_type(webp(*chunks)) is None


def test_a_webp_whose_chunk_is_longer_than_the_file_is_not_an_image() -> None:
    content = bytearray(media_samples.picture("WEBP"))
    content[16:20] = struct.pack("<I", 1_000_000)
    assert image_type(bytes(content)) is None


@pytest.mark.parametrize("content", [b"", HTML, b"{}", b"GIF89a" + b"\0" * 50, b"\x89PNG", b"RIFF\0\0\0\0WAVE" + HTML])
def test_other_files_are_not_images(content: bytes) -> None:
    assert image_type(content) is None


@pytest.mark.parametrize(
    ("sample_rate", "kbit"), [(44_100, 128), (48_000, 64), (32_000, 96), (24_000, 64), (22_050, 32), (8_000, 16)]
)
def test_the_duration_of_an_mp3_is_measured(sample_rate: int, kbit: int) -> None:
    duration = mp3_duration(media_samples.mp3(1.5, sample_rate=sample_rate, kbit=kbit))
    # The encoder adds silence to fill its frames.
    assert duration is not None
    assert 1.5 <= duration < 1.5 + 4 * 1152 / sample_rate


def id3v2(size: int, *, footer: bool = False) -> bytes:
    syncsafe = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00" + (b"\x10" if footer else b"\x00") + syncsafe + b"\0" * (size + 10 * footer)


def test_tags_and_joined_files_count_as_one() -> None:
    one = media_samples.mp3(0.5)
    alone = mp3_duration(one)
    assert alone is not None
    joined = id3v2(300) + one + id3v2(20, footer=True) + one + b"TAG" + b"\0" * 125
    assert mp3_duration(joined) == pytest.approx(2 * alone)


@pytest.mark.parametrize("stereo", [False, True])
@pytest.mark.parametrize(
    ("version_bits", "length", "mono_offset", "stereo_offset"), [(0xFB, 417, 17, 32), (0xF3, 208, 9, 17)]
)
def test_a_frame_that_describes_the_file_is_silent(
    version_bits: int, length: int, mono_offset: int, stereo_offset: int, stereo: bool
) -> None:
    sound = bytes([0xFF, version_bits, 0x90 if version_bits == 0xFB else 0x80, 0x00 if stereo else 0xC0])
    length = 417 if version_bits == 0xFB else 208
    frame = sound.ljust(length, b"\0")
    described = bytearray(frame)
    at = 4 + (stereo_offset if stereo else mono_offset)
    described[at : at + 4] = b"Info"
    assert mp3_duration(frame) is not None
    assert mp3_duration(bytes(described) + frame) == mp3_duration(frame)
    assert mp3_duration(bytes(described)) is None


SOUND = media_samples.mp3(0.2)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: HTML,
        lambda content: content[:-1],
        lambda content: content + HTML,
        lambda content: b"\xff" * 4000,
        lambda content: content[:1] + b"\xeb" + content[2:],
        lambda content: content[:1] + b"\xf5" + content[2:],
        lambda content: content[:2] + b"\x00" + content[3:],
        lambda content: content[:2] + b"\xf0" + content[3:],
        lambda content: content[:2] + b"\x8c" + content[3:],
        lambda content: b"ID3\x04\x00\x00\x80\x80\x80\x80" + content,
        lambda content: id3v2(100),
        lambda content: b"ID3",
        lambda content: content + b"TAG",
    ],
    ids=[
        "empty", "html", "last byte gone", "html behind", "only sync", "reserved version", "layer II", "free bitrate",
        "bad bitrate", "bad rate", "bad tag size", "only a tag", "cut tag", "cut last tag",
    ],
)  # fmt: skip
def test_what_is_no_whole_mp3_has_no_duration(damage: Callable[[bytes], bytes]) -> None:
    assert mp3_duration(damage(SOUND)) is None


BEGINNINGS = st.sampled_from(
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"\xff\xd8" + FRAME,
        b"RIFF\x30\0\0\0WEBPVP8X",
        b"ID3",
        *(media_samples.picture(image_format, 8, 8) for image_format in FORMATS),
        SOUND[:400],
    ]
)


@given(beginning=BEGINNINGS, length=st.integers(0, 400), rest=st.binary(max_size=400))
def test_no_bytes_make_it_raise(beginning: bytes, length: int, rest: bytes) -> None:
    content = beginning[:length] + rest
    image = image_type(content)
    assert image is None or (image.width > 0 and image.height > 0)
    duration = mp3_duration(content)
    assert duration is None or duration > 0
