"""The engines in this process, with text that does them no harm."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import espeakng_loader  # type: ignore[import-untyped]
import py_nanotts  # type: ignore[import-untyped]
import pytest

from offline import espeak, pico, voicebox
from offline.voices import ESPEAK, PICO


@pytest.mark.parametrize("language", sorted(PICO))
def test_pico_speaks_its_languages(language: str) -> None:
    spoken = pico.speak("Radio 24", language, slow=False)
    assert spoken
    assert 0.5 < len(spoken) / 2 / pico.RATE < 4


def test_pico_declines_letters_that_it_does_not_know() -> None:
    assert pico.speak("日本語", "en", slow=False) is None
    assert pico.readable("Łódź") is None
    assert pico.readable("Dvořák – “Größe”…") == 'Dvorák , "Größe"..'


def test_pico_never_sees_a_tag_an_entity_or_a_long_number() -> None:
    text = pico.readable('<volume level="0">a</volume> &#60; [[x]] \\ ' + "7" * 40 + "!" * 40)
    assert text is not None
    assert not set("<>[]\\#;") & set(text.replace("; ", ""))
    assert "7" * 13 not in text
    assert "!!!!" not in text


def test_a_volume_tag_does_not_silence_what_follows() -> None:
    speech = voicebox.say(['<volume level="0">hello there'], "en", slow=False)
    assert speech is not None
    assert speech.engine == "pico"


@pytest.mark.parametrize("tag", sorted(ESPEAK))
def test_espeak_has_every_voice(tag: str) -> None:
    assert len(espeak.engine().speak("Radio 24", tag, slow=False)) / 2 / espeak.engine().rate > 0.5


def test_espeak_reads_markup_as_text() -> None:
    engine = espeak.engine()
    assert len(engine.speak('<speak rate="9">hi</speak>', "pl", slow=False)) > len(engine.speak("hi", "pl", slow=False))


def test_an_unknown_voice_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ESPEAK, "tlh", "no-such-voice")
    with pytest.raises(espeak.EspeakError):
        espeak.engine().speak("Qapla", "tlh", slow=False)


def test_sentences_are_parted_by_a_pause() -> None:
    def seconds(*sentences: str) -> float:
        speech = voicebox.say(sentences, "en", slow=False)
        assert speech is not None
        return speech.seconds

    parted = seconds("Hello there.", "Good morning.")
    assert parted == pytest.approx(seconds("Hello there.") + seconds("Good morning.") + 0.35, abs=0.1)


def test_one_engine_speaks_the_whole_text() -> None:
    mixed = voicebox.say(["Hello there.", "Здравствуйте."], "en", slow=False)
    assert mixed is not None
    assert mixed.engine == "espeak-ng"


def test_silence_is_not_speech() -> None:
    assert voicebox.say(["...", "…"], "pl", slow=False) is None


def answer_to(request: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, object], bytes]:
    answer = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(request).encode())))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(answer))
    voicebox.main()
    head, _, mp3 = answer.getvalue().partition(b"\n")
    return json.loads(head), mp3


def test_the_program_answers_with_a_header_and_the_mp3(monkeypatch: pytest.MonkeyPatch) -> None:
    head, mp3 = answer_to({"language": "en", "slow": False, "sentences": ["Hello there."]}, monkeypatch)
    assert head["engine"] == "pico"
    assert isinstance(head["seconds"], float)
    assert mp3[:2] == b"\xff\xf3"


def test_the_program_says_when_nothing_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    head, mp3 = answer_to({"language": "pl", "slow": False, "sentences": ["..."]}, monkeypatch)
    assert (head, mp3) == ({"engine": None, "seconds": None}, b"")


def test_espeak_works_from_a_folder_with_a_long_name(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    folder.mkdir(parents=True)
    (folder / "espeak-ng-data").symlink_to(espeakng_loader.get_data_path())
    program = (
        "import espeakng_loader, sys;"
        f"espeakng_loader.get_data_path = lambda: {str(folder / 'espeak-ng-data')!r};"
        "from offline.espeak import engine; print(len(engine().speak('hello', 'pt', slow=False)))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 10_000


def test_pico_gives_way_where_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> bytes:
        raise ValueError("lingware_path too long")

    monkeypatch.setattr(py_nanotts.NanoTTS, "speak", fail)
    speech = voicebox.say(["Hello there."], "en", slow=False)
    assert speech is not None
    assert speech.engine == "espeak-ng"
