"""The offline picture: what a caller can rely on."""

import hashlib
import io
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image, ImageChops

from generation.pictures import ImageRequest
from generation.providers import Deadline, ProviderTimeout
from offline import image, landscapes, patterns
from offline.canvas import Canvas
from offline.image import OfflineImage
from offline.palette import palette_of
from offline.scenes import Scene, scene_of

PROMPT = "a serene mountain lake at sunset"
ODD_PROMPTS = [
    "I ❤️ 🐳 and 👩‍🚀 in 🇪🇸",
    "غروب الشمس فوق الصحراء مع 3 جمال (رائع) ok",
    "夕焼けの海に浮かぶ小さな船、水彩画風。",
    "हिन्दी में पहाड़",
    "\ud800 half a pair",
    "\x00\x07\u202e",
    "\U0010ffff\ue000",
    "z" + "\u0301" * 500,
    "x" * 2000,
    "word " * 400,
    "!",
]


def draw(prompt: str = PROMPT, width: int = 160, height: int = 160, seed: int = 7) -> bytes:
    return OfflineImage().generate(ImageRequest(prompt, width, height, seed), Deadline(60)).content


def contrast(picture: Image.Image) -> int:
    grey = picture.convert("L").tobytes()
    return max(grey) - min(grey)


def pixels(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def test_the_artifact_is_a_png_that_names_who_drew_it() -> None:
    artifact = OfflineImage().generate(ImageRequest(PROMPT, 128, 96, 1, model="flux"), Deadline(60))
    assert (artifact.content_type, artifact.provider, artifact.model) == ("image/png", "offline", "offline-preview-1")
    assert pixels(artifact.content).format == "PNG"


def test_the_same_prompt_seed_and_size_give_the_same_bytes() -> None:
    assert draw() == draw()


def test_the_bytes_do_not_depend_on_the_process() -> None:
    program = (
        "import sys, hashlib; from generation.providers import *; from generation.pictures import *; from offline.image import OfflineImage;"
        f"a = OfflineImage().generate(ImageRequest({PROMPT!r}, 160, 160, 7), Deadline(60));"
        "print(hashlib.sha256(a.content).hexdigest())"
    )
    seen = {hashlib.sha256(draw()).hexdigest()}
    for hash_seed in ("0", "4242"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        seen.add(subprocess.check_output([sys.executable, "-c", program], env=environment, text=True).strip())
    assert len(seen) == 1


def test_drawing_in_several_threads_changes_nothing() -> None:
    prompts = [PROMPT, "city at night", "夕焼けの海", "abstract poster"] * 2
    alone = [draw(prompt) for prompt in prompts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(draw, prompts)) == alone


def test_another_seed_or_another_prompt_gives_another_picture() -> None:
    pictures = [draw(), draw(seed=8), draw("a serene mountain lake at dawn"), draw("a jazz concert")]
    for index, first in enumerate(pictures):
        for second in pictures[index + 1 :]:
            difference = ImageChops.difference(pixels(first), pixels(second)).convert("L")
            assert sum(difference.histogram()[8:]) > 160 * 160 * 0.2


@pytest.mark.parametrize(
    ("width", "height"), [(64, 64), (65, 333), (512, 512), (2048, 64), (64, 2048), (2048, 256), (1023, 767)]
)
def test_the_size_is_exactly_what_was_asked(width: int, height: int) -> None:
    picture = pixels(draw(width=width, height=height))
    assert (picture.size, picture.mode) == ((width, height), "RGB")


@pytest.mark.parametrize(
    "scene",
    [
        landscapes.hills,
        landscapes.waves,
        landscapes.dunes,
        landscapes.forest,
        landscapes.skyline,
        landscapes.night,
        patterns.geometry,
        patterns.currents,
        patterns.lights,
        patterns.bloom,
    ],
)
@pytest.mark.parametrize("size", [(64, 64), (300, 90), (90, 300)])
def test_every_scene_has_light_and_dark_at_every_shape(scene: Scene, size: tuple[int, int]) -> None:
    for seed in range(3):
        canvas = Canvas(*size)
        rng = random.Random(seed)
        scene(canvas, palette_of("something", rng), rng)
        assert contrast(canvas.image) > 60
        colours = canvas.image.resize((32, 32)).getcolors(1024)
        assert colours is not None
        assert len(colours) > 40


@pytest.mark.parametrize("prompt", ODD_PROMPTS)
def test_any_text_gives_a_picture(prompt: str) -> None:
    assert contrast(pixels(draw(prompt, 96, 96))) > 60


def test_the_caption_is_in_the_picture_and_in_its_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    with_caption = pixels(draw(width=512, height=512))
    assert with_caption.info["Comment"] == "offline preview"
    monkeypatch.setattr(image, "CAPTION", ".")
    without = pixels(draw(width=512, height=512))
    box = ImageChops.difference(with_caption, without).convert("L").point(lambda v: 255 * (v > 40)).getbbox()
    assert box is not None
    left, top, right, bottom = box
    assert top > 512 * 0.9
    assert 60 < right - left < 160
    assert 6 < bottom - top < 20


def test_the_prompt_is_legible_on_what_is_under_it() -> None:
    for prompt in ("snow on white ice", "abstract geometric shapes", "yellow flowers in the sun"):
        picture = pixels(draw(prompt, 512, 512)).convert("L").crop((0, 430, 512, 512))
        ground = sorted(picture.tobytes())
        # White on a ground of 96 has a contrast of more than 6 to 1.
        assert ground[int(len(ground) * 0.8)] <= 100
        assert ground[-1] > 215


def test_words_choose_the_scene_and_the_colours() -> None:
    def scene_for(prompt: str) -> object:
        return scene_of(prompt, random.Random(1))

    assert scene_for("Waves on a BEACH") is landscapes.waves
    assert scene_for("una ciudad de noche") is landscapes.skyline
    assert scene_for("桜の花") is patterns.bloom
    assert scene_for("los montes y el océano") is landscapes.waves

    def blueness(prompt: str) -> float:
        red, _, blue = palette_of(prompt, random.Random(1)).tone(0.5)
        return blue - red

    assert blueness("the ocean") > 60
    assert blueness("a red apple") < -60
    assert palette_of("a forest at night", random.Random(1)).is_dark
    assert not palette_of("a forest", random.Random(1)).is_dark


def test_a_deadline_that_is_over_is_a_timeout() -> None:
    with pytest.raises(ProviderTimeout):
        OfflineImage().generate(ImageRequest(PROMPT, 64, 64, 1), Deadline(0))


def test_a_deadline_that_passes_while_drawing_is_a_timeout() -> None:
    times = iter([0.0, 0.0, 0.5, 99.0, 99.0])
    with pytest.raises(ProviderTimeout):
        OfflineImage().generate(ImageRequest(PROMPT, 64, 64, 1), Deadline(1.0, clock=lambda: next(times)))
