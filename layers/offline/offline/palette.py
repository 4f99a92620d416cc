"""The palette of a drawing, read from the words of its prompt."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from random import Random

from offline.colour import Rgb, oklch


@dataclass(frozen=True, slots=True)
class Mood:
    """Hues in degrees of OKLCH for the dark and the light end and for the accent; how colourful, how bright.

    A mood that prevails goes before the others of its prompt.
    """

    shade: float
    light: float
    accent: float
    chroma: float = 0.13
    darkest: float = 0.22
    brightest: float = 0.93
    prevails: bool = False


# Words in English and in Spanish, then whatever else is common; what is not ASCII is also found inside a word.
_MOODS: tuple[tuple[str, Mood], ...] = (
    (
        "night midnight moon star starry space galaxy cosmos universe nebula planet astronaut dark noche luna "
        "estrella espacio galaxia nuit nacht notte noite 夜 宇宙 星 月 밤 별 ليل 🌙 🌃 🚀 ✨ 🌌",
        Mood(275, 255, 90, 0.11, 0.13, 0.66, True),
    ),
    (
        "neon cyberpunk synthwave vaporwave disco club futuristic retro 赛博朋克 🎆 🤖",
        Mood(285, 345, 195, 0.19, 0.15, 0.74, True),
    ),
    (
        "sunset dusk evening twilight atardecer ocaso crepusculo tramonto sonnenuntergang 夕日 夕焼け 日落 غروب 🌇 🌅",
        Mood(305, 62, 85, 0.15, 0.24, 0.90, True),
    ),
    ("sunrise dawn morning amanecer alba aurora aube manana 朝 日出 🌄", Mood(275, 45, 80, 0.10, 0.30, 0.95, True)),
    (
        "ocean sea beach wave water lake river rain underwater fish whale boat ship island mar oceano playa "
        "ola agua lago rio lluvia isla mer meer mare 海 海洋 波 川 바다 بحر 🌊 🐳 🐠 🏖",
        Mood(250, 200, 70, 0.11, 0.26, 0.95),
    ),
    (
        "forest tree jungle wood pine leaf garden grass meadow nature moss bosque arbol selva jardin hoja "
        "naturaleza foret wald foresta 森 林 木 숲 غابة 🌲 🌳 🌿 🐸",
        Mood(170, 118, 95, 0.10, 0.22, 0.93),
    ),
    (
        "desert dune sand sahara canyon camel desierto duna arena 砂漠 沙漠 صحراء 🏜 🐪",
        Mood(35, 78, 55, 0.11, 0.30, 0.93),
    ),
    (
        "snow ice winter frozen arctic glacier penguin nieve hielo invierno neige schnee 雪 冬 눈 ثلج ❄ ⛄ 🐧",
        Mood(258, 225, 35, 0.05, 0.30, 0.98, True),
    ),
    (
        "fire lava volcano flame dragon inferno fuego volcan llama feu feuer 火 불 نار 🔥 🐉",
        Mood(18, 55, 85, 0.17, 0.18, 0.86),
    ),
    (
        "autumn fall harvest pumpkin otono calabaza automne herbst 秋 가을 🍂 🍁 🎃",
        Mood(25, 75, 40, 0.13, 0.25, 0.92, True),
    ),
    (
        "spring flower blossom rose sakura cherry love heart wedding primavera flor rosa amor corazon fleur "
        "blume 花 桜 愛 꽃 사랑 ورد حب 🌸 🌹 🌺 🌷 💖 ❤",
        Mood(345, 10, 150, 0.11, 0.32, 0.95),
    ),
    (
        "city town street building skyline urban tokyo york paris london ciudad calle edificio ville stadt "
        "citta 都市 街 城市 도시 مدينة 🏙 🌆",
        Mood(270, 40, 75, 0.10, 0.20, 0.90),
    ),
    ("red crimson scarlet ruby rojo roja rouge rot 赤 红 أحمر 🍎 🚗", Mood(15, 30, 85, 0.16, 0.24, 0.92)),
    ("orange naranja 🍊 🦊", Mood(35, 65, 230, 0.15, 0.28, 0.94)),
    (
        "yellow gold golden honey sun sunny summer amarillo oro dorado sol verano soleil 太陽 金 شمس ☀ 🌻",
        Mood(60, 95, 30, 0.14, 0.34, 0.96),
    ),
    ("green emerald lime verde vert grun 緑 绿 أخضر", Mood(165, 130, 80, 0.13, 0.25, 0.94)),
    ("turquoise teal cyan aqua turquesa", Mood(215, 185, 50, 0.11, 0.26, 0.95)),
    ("blue azure sky azul cielo bleu blau blu 青 蓝 空 하늘 أزرق", Mood(262, 235, 75, 0.13, 0.26, 0.96)),
    (
        "purple violet lavender magic wizard dream morado violeta magia sueno 紫 夢 🔮 🦄",
        Mood(295, 320, 90, 0.14, 0.24, 0.93),
    ),
    ("pink magenta candy rosado 🎀", Mood(350, 0, 200, 0.14, 0.34, 0.95)),
    ("brown chocolate coffee wooden bread marron cafe madera ☕ 🍫", Mood(45, 70, 35, 0.07, 0.22, 0.92)),
    (
        "black white monochrome noir minimal minimalist grey gray negro blanco gris 墨 水墨",
        Mood(260, 80, 30, 0.015, 0.16, 0.96),
    ),
)


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one drawing, all derived from a mood."""

    mood: Mood

    @property
    def is_dark(self) -> bool:
        """Whether even the brightest tone is a night's."""
        return self.mood.brightest < 0.8

    def tone(self, brightness: float, *, vivid: float = 1.0) -> Rgb:
        """A tone between the shade, 0, and the light, 1."""
        mood = self.mood
        turn = (mood.light - mood.shade + 180) % 360 - 180
        lightness = mood.darkest + (mood.brightest - mood.darkest) * brightness
        # Chroma peaks at the middle: very dark and very light tones look dirty with much of it.
        chroma = mood.chroma * vivid * (1 - 0.55 * abs(2 * brightness - 1) ** 2)
        return oklch(lightness, chroma, mood.shade + turn * brightness)

    def accent(self, lightness: float = 0.84, *, turn: float = 0) -> Rgb:
        """The colour that stands out, its hue turned by some degrees."""
        return oklch(lightness, max(0.06, min(0.17, self.mood.chroma * 1.15)), self.mood.accent + turn)

    def neighbour(self, lightness: float, turn: float) -> Rgb:
        """A colour some degrees beside the light; unlike the accent it blends with the tones without turning grey."""
        return oklch(lightness, min(0.17, self.mood.chroma * 1.2), self.mood.light + turn)

    def sun(self, lightness: float) -> Rgb:
        """The accent if it is warm; else a warm colour that goes with the light."""
        for hue in (self.mood.accent, self.mood.light, 85.0):
            if (hue + 30) % 360 < 140:
                break
        return oklch(lightness, max(0.05, min(0.15, self.mood.chroma * 1.1)), hue)


def words_of(prompt: str) -> list[str]:
    """The words of a prompt without case, accents or a plural s."""
    plain = unicodedata.normalize("NFKD", prompt.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in re.findall(r"\w+", plain)]


def position_of(vocabulary: str, prompt: str, words: list[str]) -> int | None:
    """After how many words the prompt first has one of the vocabulary, or None."""
    places: list[int] = []
    for entry in vocabulary.split():
        if entry in words:
            places.append(words.index(entry))
        elif not entry.isascii() and entry in prompt:
            places.append(len(prompt[: prompt.index(entry)].split()))
    return min(places, default=None)


def palette_of(prompt: str, rng: Random) -> Palette:
    """The palette that the prompt's words ask for; hues that its other words hash to when none of them does."""
    words = words_of(prompt)
    found = [(place, mood) for names, mood in _MOODS if (place := position_of(names, prompt, words)) is not None]
    found.sort(key=lambda pair: pair[0])
    jitter = rng.uniform(-9, 9)
    if not found:
        return Palette(_hashed(prompt, jitter))
    # An hour or a season colours everything, wherever in the sentence it stands.
    mood = min((mood for _, mood in found), key=lambda mood: not mood.prevails)
    others = [other for _, other in found if other is not mood]
    return Palette(
        Mood(
            mood.shade + jitter,
            mood.light + jitter,
            others[0].light if others and not mood.prevails else mood.accent + jitter,
            mood.chroma * rng.uniform(0.92, 1.1),
            mood.darkest,
            mood.brightest,
        )
    )


def _hashed(prompt: str, jitter: float) -> Mood:
    digest = hashlib.sha256(" ".join(sorted(words_of(prompt))).encode("utf-8", "replace")).digest()
    shade = digest[0] / 256 * 360 + jitter
    light = shade + (digest[1] / 256 * 60 + 25) * (1 if digest[2] & 1 else -1)
    accent = light + 150 + digest[3] / 256 * 60
    return Mood(shade, light, accent, 0.10 + digest[4] / 256 * 0.05, 0.24, 0.94)
