"""The chain: fallback, deadlines, refusals, and what the caller gets to know."""

import importlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from tests.fakes.google import FakeGoogleTranslate
from tests.fakes.pollinations import FakePollinations
from tests.services import SERVICES

from core.errors import BadGateway, FieldError, GatewayTimeout, Unprocessable
from core.logging import logger
from core.settings import SettingsError
from generation import chain, settings
from generation.chain import Outcome
from generation.google_tts import GoogleTts
from generation.pictures import ImageRequest
from generation.pollinations import Pollinations
from generation.providers import Artifact, Deadline, PromptRefused, ProviderError, ProviderTimeout
from generation.services import Service
from generation.speech import SpeechRequest, lacks_voice, require_voice
from image.service import SERVICE as IMAGE
from tts.service import SERVICE as SPEECH

REQUEST = ImageRequest("a secret plan", 64, 48, 1)


class Scripted:
    """A provider that does what the test says."""

    def __init__(
        self,
        name: str,
        act: Callable[[Deadline], None] = lambda deadline: None,
        *,
        refusal: FieldError | None = None,
    ) -> None:
        self.name = name
        self.act = act
        self.refusal = refusal
        self.given_seconds: float | None = None

    def refuses(self, request: ImageRequest) -> FieldError | None:
        return self.refusal

    def generate(self, request: ImageRequest, deadline: Deadline) -> Artifact:
        self.given_seconds = deadline.remaining()
        self.act(deadline)
        return Artifact(b"bytes", "image/png", provider=self.name, model=request.model)


class ScriptedSpeaker:
    """A provider of speech that always delivers."""

    def __init__(self, name: str, *voices: str) -> None:
        self.name = name
        self.voices = frozenset(voices)

    def refuses(self, request: SpeechRequest) -> FieldError | None:
        return lacks_voice(request.voice, self.voices)

    def generate(self, request: SpeechRequest, deadline: Deadline) -> Artifact:
        return Artifact(b"sound", "audio/mpeg", provider=self.name, model=request.model, facts={"durationSeconds": 1.0})


def raising(error: BaseException) -> Callable[[Deadline], None]:
    def act(deadline: Deadline) -> None:
        raise error

    return act


def failing(name: str, reason: str = "status 503") -> Scripted:
    return Scripted(name, raising(ProviderError(reason)))


@pytest.fixture
def log() -> Iterator[list[str]]:
    """The lines that the chain logs, as they are written."""
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    collector = Collector()
    collector.setFormatter(logger.handlers[0].formatter)
    written = logging.getLogger(logger.service)
    written.addHandler(collector)
    yield lines
    written.removeHandler(collector)


def test_the_first_provider_that_delivers_is_the_last_one_asked() -> None:
    second = Scripted("second")
    outcome = chain.generate([Scripted("first"), second], REQUEST, Deadline(60))
    assert outcome == Outcome(Artifact(b"bytes", "image/png", "first", "flux"))
    assert second.given_seconds is None


def test_a_failure_falls_through_and_is_told_and_logged(log: list[str]) -> None:
    outcome = chain.generate(
        [failing("first"), failing("second", "not an image"), Scripted("third")], REQUEST, Deadline(60)
    )
    assert outcome.artifact.provider == "third"
    assert (outcome.fallback_from, outcome.fallback_reason) == ("first", "status 503")
    assert len(log) == 2
    assert all('"WARNING"' in line and "a secret plan" not in line for line in log)
    assert "status 503" in log[0]
    assert "second" in log[1]


def test_a_refusal_is_the_end(log: list[str]) -> None:
    second = Scripted("second")
    refusing = Scripted("first", raising(PromptRefused("status 400")))
    with pytest.raises(Unprocessable) as problem:
        chain.generate([refusing, second], REQUEST, Deadline(60))
    assert problem.value.type.endswith(":prompt-refused")
    assert "first" in problem.value.detail
    assert second.given_seconds is None
    assert log == []


def test_when_all_fail_it_is_a_bad_gateway_that_names_them() -> None:
    with pytest.raises(BadGateway) as problem:
        chain.generate([failing("first"), failing("second", "not an image")], REQUEST, Deadline(60))
    assert "first (status 503), second (not an image)" in problem.value.detail
    assert "a secret plan" not in problem.value.detail
    assert problem.value.__cause__ is None
    assert problem.value.__context__ is None


def test_when_all_time_out_it_is_a_gateway_timeout() -> None:
    timing_out = [Scripted(name, raising(ProviderTimeout())) for name in ("first", "second")]
    with pytest.raises(GatewayTimeout, match=r"first \(timeout\), second \(timeout\)"):
        chain.generate(timing_out, REQUEST, Deadline(60))


def test_one_timeout_with_time_left_is_a_bad_gateway() -> None:
    with pytest.raises(BadGateway):
        chain.generate([Scripted("first", raising(ProviderTimeout())), failing("second")], REQUEST, Deadline(60))


def test_one_timeout_without_time_left_is_a_gateway_timeout() -> None:
    now = [0.0]

    def use_up(deadline: Deadline) -> None:
        now[0] += 10
        raise ProviderTimeout

    providers = [failing("first"), Scripted("second", use_up)]
    with pytest.raises(GatewayTimeout):
        chain.generate(providers, REQUEST, Deadline(5, clock=lambda: now[0]))


def test_without_any_time_nobody_is_asked() -> None:
    provider = Scripted("first")
    with pytest.raises(GatewayTimeout, match="no time left"):
        chain.generate([provider], REQUEST, Deadline(0))
    assert provider.given_seconds is None


def test_each_provider_leaves_a_reserve_to_those_behind_it() -> None:
    def clock() -> float:
        return 0.0

    providers = [failing("first"), failing("second"), Scripted("third")]
    chain.generate(providers, REQUEST, Deadline(20, clock))
    assert [provider.given_seconds for provider in providers] == [
        20 - 2 * chain.RESERVE_SECONDS,
        20 - chain.RESERVE_SECONDS,
        20,
    ]


def test_when_time_is_short_it_is_shared() -> None:
    providers = [failing("first"), Scripted("second")]
    chain.generate(providers, REQUEST, Deadline(3, clock=lambda: 0.0))
    assert [provider.given_seconds for provider in providers] == [1.5, 3]


def test_a_provider_that_does_not_come_back_is_left_behind() -> None:
    released = threading.Event()
    keeps_process_alive = []

    def stay(deadline: Deadline) -> None:
        keeps_process_alive.append(not threading.current_thread().daemon)
        released.wait(600)

    stuck = Scripted("stuck", stay)
    try:
        outcome = chain.generate([stuck, Scripted("second")], REQUEST, Deadline(0.4))
    finally:
        released.set()
    assert (outcome.artifact.provider, outcome.fallback_from, outcome.fallback_reason) == ("second", "stuck", "timeout")
    assert keeps_process_alive == [False]


def test_an_unexpected_error_falls_through_and_is_logged_with_its_traceback(log: list[str]) -> None:
    outcome = chain.generate([Scripted("first", raising(KeyError("audio"))), Scripted("second")], REQUEST, Deadline(60))
    assert (outcome.fallback_from, outcome.fallback_reason) == ("first", "KeyError")
    assert '"ERROR"' in log[0]
    assert "Traceback" in log[0]
    assert "in act" in log[0]
    assert '"WARNING"' in log[1]


def test_an_unexpected_error_of_the_only_provider_is_a_bad_gateway() -> None:
    with pytest.raises(BadGateway, match=r"first \(ZeroDivisionError\)"):
        chain.generate([Scripted("first", raising(ZeroDivisionError()))], REQUEST, Deadline(60))


def test_a_panic_of_native_code_falls_through_like_any_error() -> None:
    class PanicException(BaseException):
        """As extension modules in Rust raise it."""

    outcome = chain.generate([Scripted("first", raising(PanicException())), Scripted("second")], REQUEST, Deadline(5))
    assert (outcome.artifact.provider, outcome.fallback_reason) == ("second", "PanicException")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_process_is_not_a_failure_of_the_provider(error: type[BaseException]) -> None:
    with pytest.raises(error):
        chain.generate([Scripted("first", raising(error())), Scripted("second")], REQUEST, Deadline(60))


def test_a_provider_that_lacks_the_voice_is_passed_over() -> None:
    providers = [ScriptedSpeaker("first", "en", "fr"), ScriptedSpeaker("second", "en", "eo")]
    outcome = chain.generate(providers, SpeechRequest("saluton", "eo"), Deadline(60))
    assert outcome.artifact.provider == "second"
    assert outcome.fallback_from is None


def test_a_voice_that_nobody_has_is_not_valid() -> None:
    providers = [ScriptedSpeaker("first", "en", "fr"), ScriptedSpeaker("second", "en", "eo")]
    with pytest.raises(Unprocessable) as problem:
        chain.generate(providers, SpeechRequest("nuqneH", "tlh"), Deadline(60))
    assert problem.value.errors == (
        FieldError("voice", "Must be one of: en, fr."),
        FieldError("voice", "Must be one of: en, eo."),
    )


def test_a_provider_that_cannot_serve_the_request_is_passed_over_without_being_asked() -> None:
    unable = Scripted("unable", refusal=FieldError("prompt", "Must be shorter."))
    able = Scripted("able")
    outcome = chain.generate([unable, able], REQUEST, Deadline(5, clock=lambda: 0.0))
    assert (outcome.artifact.provider, outcome.fallback_from) == ("able", None)
    assert unable.given_seconds is None
    assert able.given_seconds == 5


def test_when_none_can_serve_the_request_each_reason_is_told_once(log: list[str]) -> None:
    shorter, smaller = FieldError("prompt", "Must be shorter."), FieldError("size", "Must be smaller.")
    providers = [Scripted(str(place), refusal=wrong) for place, wrong in enumerate((shorter, smaller, shorter))]
    with pytest.raises(Unprocessable) as problem:
        chain.generate(providers, REQUEST, Deadline(60))
    assert problem.value.errors == (shorter, smaller)
    assert problem.value.type.endswith(":prompt-refused")
    assert [provider.given_seconds for provider in providers] == [None] * 3
    assert log == []


def test_a_refusal_that_names_the_field_is_told_with_it() -> None:
    wrong = FieldError("prompt", "Must have something to say.")
    with pytest.raises(Unprocessable) as problem:
        chain.generate([Scripted("first", raising(PromptRefused("no", wrong)))], REQUEST, Deadline(60))
    assert problem.value.errors == (wrong,)


@pytest.mark.parametrize("prompt", ["画" * 900, "é" * 1400])
def test_a_prompt_that_no_address_can_hold_is_the_callers_to_shorten(
    keyless: Pollinations, fake_pollinations: FakePollinations, prompt: str
) -> None:
    with pytest.raises(Unprocessable) as problem:
        chain.generate([keyless], ImageRequest(prompt, 1024, 1024, 1), Deadline(60))
    ((field, message),) = problem.value.errors
    assert field == "prompt"
    assert message.startswith("Must be at most 7")
    assert fake_pollinations.requests == []


@pytest.mark.parametrize("text", ["!!!", "* * *"])
def test_marks_that_no_engine_says_are_the_callers_to_change(
    gtts: GoogleTts, fake_google: FakeGoogleTranslate, text: str
) -> None:
    fake_google.script("silent")
    with pytest.raises(Unprocessable) as problem:
        chain.generate([gtts], SpeechRequest(text), Deadline(60))
    assert [error.field for error in problem.value.errors] == ["prompt"]


def test_a_voice_may_be_any_providers_and_the_choices_are_those_of_all() -> None:
    speakers = [ScriptedSpeaker("first", "en", "fr"), ScriptedSpeaker("second", "en", "eo")]
    for voice in ("en", "fr", "eo"):
        require_voice(voice, speakers)
    with pytest.raises(Unprocessable) as problem:
        require_voice("tlh", speakers)
    assert problem.value.errors == (FieldError("voice", "Must be one of: en, eo, fr."),)


def test_configuration_names_make_providers_with_their_own_settings(fake_pollinations: FakePollinations) -> None:
    environ = {"POLLINATIONS_KEYLESS_URL": fake_pollinations.keyless_url}
    (provider,) = chain.load(IMAGE, ["pollinations"], environ)
    assert isinstance(provider, Pollinations)
    assert provider.generate(REQUEST, Deadline(60)).provider == "pollinations"
    (speaker,) = chain.load(SPEECH, ["gtts"], environ)
    assert isinstance(speaker, GoogleTts)


def test_the_offline_engines_come_from_their_own_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in SERVICES:
        module, _, engine = service.providers["offline"].partition(":")
        stand_in = ModuleType(module)
        setattr(stand_in, engine, SimpleNamespace(from_env=lambda environ, engine=engine: (engine, environ["A"])))
        monkeypatch.setitem(sys.modules, module, stand_in)
    monkeypatch.setitem(sys.modules, "offline", ModuleType("offline"))
    environ = {"A": "setting"}
    made: list[object] = [made for service in SERVICES for made in chain.load(service, ["offline"], environ)]
    assert made == [(service.providers["offline"].partition(":")[2], "setting") for service in SERVICES]


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_an_unknown_name_is_told_with_the_parameter_and_the_known_ones(service: Service) -> None:
    known = ", ".join(sorted(service.providers))
    with pytest.raises(SettingsError, match=f"{service.pascal}Providers names 'polinations'; known are {known}"):
        chain.load(service, ["polinations"], {})


@pytest.fixture
def _no_offline_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "offline"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if not entry.endswith("layers/offline")])


@pytest.mark.usefixtures("_no_offline_layer")
def test_a_missing_layer_is_told_with_the_parameter() -> None:
    with pytest.raises(SettingsError, match="ImageProviders names 'offline', which is in the layer 'offline'"):
        chain.load(IMAGE, ["offline"], {})


@pytest.mark.usefixtures("_no_offline_layer")
def test_a_layer_that_lacks_a_dependency_is_not_a_missing_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "offline"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "image.py").write_text("import a_library_that_is_not_there\n")
    # Not by syspath_prepend: together with the fixture's change its undoing leaves later tests without the layer.
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    with pytest.raises(ModuleNotFoundError, match="a_library_that_is_not_there"):
        chain.load(IMAGE, ["offline"], {})
    for name in ("offline", "offline.image"):
        sys.modules.pop(name, None)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A function's environment, with nothing kept from another."""

    def forget() -> None:
        for remembered in (settings.current, chain.providers):
            remembered.cache_clear()

    forget()
    monkeypatch.setenv("BUCKET", "a-bucket")
    yield monkeypatch
    forget()


def test_a_function_has_the_image_providers_of_its_environment(
    environment: pytest.MonkeyPatch, fake_pollinations: FakePollinations
) -> None:
    environment.setenv("PROVIDERS", "pollinations")
    environment.setenv("POLLINATIONS_KEYLESS_URL", fake_pollinations.keyless_url)
    providers = chain.providers(IMAGE)
    assert chain.generate(providers, REQUEST, Deadline(60)).artifact.provider == "pollinations"
    assert chain.providers(IMAGE) is providers


def test_a_function_has_the_speech_providers_of_its_environment(
    environment: pytest.MonkeyPatch, fake_google: FakeGoogleTranslate
) -> None:
    environment.setenv("PROVIDERS", "gtts")
    environment.setenv("GTTS_URL", fake_google.url)
    outcome = chain.generate(chain.providers(SPEECH), SpeechRequest("Hello"), Deadline(60))
    assert outcome.artifact.provider == "gtts"
