"""Which language a text is in."""

import pytest

from generation.languages import NAMES, detect, primary

TEXTS = {
    "en": "The harbour of the old town was rebuilt after the storm had destroyed its walls.",
    "es": "El puerto de la ciudad fue reconstruido después de que la tormenta destruyera sus muros.",
    "pt": "O porto da cidade foi reconstruído depois que a tempestade destruiu as suas muralhas.",
    "nl": "De haven van de oude stad werd herbouwd nadat de storm de muren had verwoest.",
    "sv": "Hamnen i den gamla staden byggdes upp igen efter att stormen förstört murarna.",
    "pl": "Port starego miasta został odbudowany po tym, jak burza zniszczyła jego mury.",
    "ru": "Порт старого города был восстановлен после того, как шторм разрушил его стены.",
    "uk": "Порт старого міста було відбудовано після того, як буря зруйнувала його мури.",
    "ko": "옛 도시의 항구는 폭풍이 성벽을 파괴한 후 재건되었다.",
    "ja": "古い町の港は、嵐が防波堤を壊したあとに再建された。",
    "zh": "风暴摧毁了防波堤以后，古城的港口得到了重建。",
}


@pytest.mark.parametrize("language", TEXTS)
def test_the_language_of_a_sentence_is_known(language: str) -> None:
    assert detect(TEXTS[language]) == language
    assert language in NAMES


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1234 5678",
        "!?",
        "qwrt zxcv bnmp",
        "Bandari ya mji wa kale ilijengwa upya baada ya dhoruba kuharibu kuta zake.",
        "Ang daungan ng lumang bayan ay muling itinayo matapos wasakin ng bagyo ang mga pader nito.",
    ],
    ids=["nothing", "numbers", "marks", "noise", "Swahili", "Tagalog"],
)
def test_a_language_that_is_not_clear_is_not_guessed(text: str) -> None:
    assert detect(text) is None


def test_a_text_in_which_another_language_is_quoted_is_in_its_own() -> None:
    assert detect(f'{TEXTS["en"]} As they say there: "{TEXTS["nl"][:30]}". {TEXTS["en"]}') == "en"


def test_a_tag_is_a_language_with_a_region() -> None:
    assert [primary(tag) for tag in ("pt-BR", "PT_br", "zh-Hant-TW", "en", None, "")] == [
        "pt", "pt", "zh", "en", None, None,
    ]  # fmt: skip
