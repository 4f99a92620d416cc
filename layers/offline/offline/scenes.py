"""Which scene a prompt gets: the one that its words name, or one that its seed draws."""

from collections.abc import Callable
from random import Random

from offline import landscapes, patterns
from offline.canvas import Canvas
from offline.palette import Palette, position_of, words_of

Scene = Callable[[Canvas, Palette, Random], None]

_SCENES: tuple[tuple[Scene, str], ...] = (
    (
        landscapes.night,
        "night midnight moon star starry space galaxy cosmos universe nebula planet astronaut rocket alien "
        "noche luna estrella espacio galaxia nuit nacht notte 夜 宇宙 星 月 밤 별 ليل 🌙 🚀 ✨ 🌌 🪐",
    ),
    (
        landscapes.waves,
        "ocean sea beach wave water lake river boat ship sail island coast fish whale dolphin surf mar oceano "
        "playa ola agua lago rio barco isla mer meer mare 海 波 川 바다 بحر 🌊 🐳 🐠 🏖 ⛵",
    ),
    (
        landscapes.skyline,
        "city town street building skyline urban cyberpunk neon tokyo york paris london tower house "
        "architecture ciudad calle edificio casa torre ville stadt citta 都市 街 城市 도시 مدينة 🏙 🌆 🌃",
    ),
    (
        landscapes.forest,
        "forest tree jungle wood pine fox bear deer wolf owl snow winter christma bosque arbol selva zorro "
        "oso lobo foret wald foresta 森 林 木 雪 숲 غابة 🌲 🌳 🦊 🐻 ❄",
    ),
    (
        landscapes.dunes,
        "desert dune sand sahara canyon camel pyramid egypt mars desierto duna arena 砂漠 沙漠 صحراء 🏜 🐪",
    ),
    (
        landscapes.hills,
        "mountain hill valley landscape sunset sunrise dawn dusk sky horizon volcano field farm castle dragon "
        "road montana colina valle paisaje atardecer amanecer cielo campo castillo montagne berg 山 富士山 "
        "夕日 夕焼け 朝 空 산 جبل غروب 🏔 ⛰ 🌄 🌅 🐉",
    ),
    (
        patterns.bloom,
        "flower blossom rose sakura cherry garden spring mandala lotu sunflower tulip love heart flor rosa "
        "jardin primavera amor corazon fleur blume 花 桜 愛 꽃 사랑 ورد حب 🌸 🌹 🌺 🌻 🌷 💖 ❤",
    ),
    (
        patterns.geometry,
        "abstract geometric geometry bauhau shape pattern poster logo design square circle triangle robot "
        "machine mosaic abstracto geometrico patron diseno forma 🤖 🎨",
    ),
    (
        patterns.currents,
        "wind music dream flow fluid silk hair smoke dance motion energy fire flame song viento musica sueno "
        "fuego humo baile 風 音楽 夢 火 음악 موسيقى 🔥 🎵 🎶 💨",
    ),
    (
        patterns.lights,
        "light bokeh glow party festival magic fairy bubble glass crystal portrait luz fiesta cristal 光 빛 "
        "نور 🎉 🔮 💎",
    ),
)
# What suits any prompt.
_ANY: tuple[Scene, ...] = (
    landscapes.hills,
    patterns.geometry,
    patterns.currents,
    patterns.lights,
    patterns.bloom,
    landscapes.waves,
)


def scene_of(prompt: str, rng: Random) -> Scene:
    """The scene that the prompt names first; without one, any, as the generator decides."""
    words = words_of(prompt)
    found = [
        (place, index)
        for index, (_, names) in enumerate(_SCENES)
        if (place := position_of(names, prompt, words)) is not None
    ]
    return _SCENES[min(found)[1]][0] if found else rng.choice(_ANY)
