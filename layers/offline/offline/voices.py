"""The languages that the engines speak, by the tags that gTTS uses."""

PICO = {"en": "en-US", "es": "es-ES", "fr": "fr-FR", "de": "de-DE", "it": "it-IT"}

_SAME_NAME = """
    af am ar bg bn bs ca cs cy da de el en es et eu fi fr gu hi hr hu id is it ja kn ko la lt lv ml mr ms my ne nl
    pa pl ro ru si sk sq sr sv sw ta te th tr uk ur vi yue
"""
# eSpeak NG has no voice for gl, ha, jw, km, su and tl. What gTTS calls pt is Brazil's.
ESPEAK = {tag: tag for tag in _SAME_NAME.split()} | {
    "fr-CA": "fr",
    "iw": "he",
    "no": "nb",
    "pt": "pt-br",
    "pt-PT": "pt",
    "zh": "cmn",
    "zh-CN": "cmn",
    "zh-TW": "cmn",
}
EVERY = frozenset(ESPEAK)
