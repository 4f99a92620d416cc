"""The chain of text: who is asked, when somebody else is, and what is known at the end."""

import threading
from collections.abc import Iterator

import pytest

from core.errors import BadGateway, FieldError, GatewayTimeout, Unprocessable
from generation import text_chain
from generation.providers import Deadline, PromptRefused, ProviderError, ProviderTimeout
from generation.text_chain import Candidate
from generation.texts import Message, Model, TextRequest, Usage
from tests.unit.conftest import Log
from tests.unit.generation.text_stand_ins import Writer, breaking, saying

LONG, SHORT = 30.0, 0.05


def build(candidate: Candidate) -> TextRequest:
    return TextRequest((Message("user", "hi"),), candidate.model.id)


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set when the test is over, so that a provider that hangs comes back."""
    event = threading.Event()
    yield event
    event.set()


def hanging(over: threading.Event, *pieces: str):  # type: ignore[no-untyped-def]
    def script(request: TextRequest) -> Iterator[str]:
        yield from pieces
        over.wait()
        yield "too late"

    return script


def started(*providers: Writer, seconds: float = LONG, silence: float = LONG) -> text_chain.Begun:
    return text_chain.begin(text_chain.candidates(providers, None), build, Deadline(seconds), silence=silence)


def completed(*providers: Writer, seconds: float = LONG, silence: float = LONG) -> text_chain.Begun:
    return text_chain.complete(text_chain.candidates(providers, None), build, Deadline(seconds), silence=silence)


def test_those_that_offer_the_model_come_first_and_the_others_follow_with_their_defaults() -> None:
    small, large = Model("small", 100, "s-1"), Model("large", 900, "l-1")
    first, second, third = Writer("a", models=(small,)), Writer("b", models=(small, large)), Writer("c", models=())

    found = text_chain.candidates([first, second, third], "large")

    assert found == [Candidate(second, large), Candidate(first, small)]
    assert text_chain.candidates([first, second, third], None) == [Candidate(first, small), Candidate(second, small)]


def test_an_unknown_model_is_told_the_choices() -> None:
    with pytest.raises(Unprocessable) as caught:
        text_chain.candidates([Writer(models=(Model("a", 1, "x"),)), Writer(models=(Model("b", 1, "y"),))], "c")
    assert caught.value.errors == (FieldError("model", "Must be one of a, b."),)


def test_an_answer_comes_in_pieces_and_says_at_its_end_what_it_was() -> None:
    begun = started(Writer(finish_reason="length"))

    assert list(begun) == ["Hel", "lo"]
    assert (begun.text, begun.provider, begun.model) == ("Hello", "writer", "quill-1")
    assert (begun.usage, begun.finish_reason) == (Usage(7, 2), "length")
    assert begun.fallback_from is None


def test_tokens_are_counted_here_when_the_provider_does_not_say() -> None:
    begun = completed(Writer(usage=None))

    assert begun.usage == Usage(1, 1, estimated=True)


@pytest.mark.parametrize("run", [started, completed])
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Writer("bad", error=ProviderError("status 503")), "status 503"),
        (Writer("bad", breaking(ProviderTimeout())), "timeout"),
        (Writer("bad", saying()), "empty answer"),
        (Writer("bad", breaking(ZeroDivisionError())), "ZeroDivisionError"),
    ],
)
def test_who_fails_before_the_first_piece_is_followed_by_the_next(run, bad: Writer, reason: str) -> None:  # type: ignore[no-untyped-def]
    begun = run(bad, Writer())

    assert "".join(begun) or begun.text == "Hello"
    assert (begun.text, begun.fallback_from, begun.fallback_reason) == ("Hello", "bad", reason)


def test_after_its_first_piece_a_stream_that_breaks_off_keeps_what_came_and_nobody_else_is_asked() -> None:
    second = Writer()
    begun = started(Writer("bad", breaking(ProviderError("status 500"), "It was", " a")), second)

    assert next(begun) == "It was"
    assert next(begun) == " a"
    with pytest.raises(ProviderError, match="status 500"):
        next(begun)
    assert (begun.text, begun.finish_reason) == ("It was a", "error")
    assert begun.usage == Usage(1, 3, estimated=True)
    assert second.asked == []


def test_a_whole_answer_that_breaks_off_is_written_by_the_next() -> None:
    begun = completed(Writer("bad", breaking(ProviderError("status 500"), "It was")), Writer())

    assert (begun.text, begun.finish_reason, begun.fallback_from) == ("Hello", "stop", "bad")


def test_who_hangs_before_its_first_piece_is_left_when_its_share_is_over(over: threading.Event) -> None:
    slow = Writer("slow", hanging(over))

    assert started(slow, Writer(), silence=SHORT).fallback_reason == "timeout"
    over.set()
    assert slow.streams[0].closed.wait(LONG)


def test_the_last_one_has_all_the_time_for_its_first_piece(over: threading.Event) -> None:
    asked = threading.Event()

    def script(request: TextRequest) -> Iterator[str]:
        assert not asked.wait(4 * SHORT)
        yield "late"

    assert list(started(Writer(script=script), silence=SHORT)) == ["late"]


def test_a_stream_that_falls_silent_is_over(over: threading.Event) -> None:
    begun = started(Writer(script=hanging(over, "It")), silence=SHORT)

    assert next(begun) == "It"
    with pytest.raises(ProviderTimeout):
        next(begun)
    assert begun.finish_reason == "error"


def test_a_whole_answer_that_falls_silent_is_written_by_the_next(over: threading.Event) -> None:
    # Who does not notice the silence gets the rest of the first answer.
    end = threading.Timer(10, over.set)
    end.start()
    begun = completed(Writer("slow", hanging(over, "It")), Writer(), silence=SHORT, seconds=3600)
    end.cancel()

    assert (begun.text, begun.fallback_from, begun.fallback_reason) == ("Hello", "slow", "timeout")


def test_a_whole_answer_may_take_longer_than_the_silence(over: threading.Event) -> None:
    def script(request: TextRequest) -> Iterator[str]:
        for piece in ["It", "was", "so", "dark"]:
            assert not over.wait(0.6)
            yield piece

    # Much longer than each pause, and shorter than all of them together.
    assert completed(Writer(script=script), silence=1.5).text == "Itwassodark"


def test_a_whole_answer_ends_with_its_share(over: threading.Event) -> None:
    assert completed(Writer("slow", hanging(over, "It")), Writer(), seconds=0.4).fallback_from == "slow"


def test_everybody_failing_is_told_with_each_reason() -> None:
    with pytest.raises(BadGateway, match=r"a \(status 500\), b \(empty answer\)"):
        started(Writer("a", error=ProviderError("status 500")), Writer("b", saying()))


def test_nobody_in_time_is_a_timeout(over: threading.Event) -> None:
    with pytest.raises(GatewayTimeout):
        started(Writer("slow", hanging(over)), seconds=SHORT)


def test_a_prompt_that_is_refused_is_not_shown_to_the_next() -> None:
    second = Writer()
    with pytest.raises(Unprocessable, match="does not serve"):
        started(Writer(error=PromptRefused("safety")), second)
    assert second.asked == []


def test_who_cannot_serve_the_request_is_passed_over() -> None:
    first = Writer("first", refusal=FieldError("prompt", "Too long."))

    begun = started(first, Writer())

    assert (begun.provider, begun.fallback_from, first.asked) == ("writer", None, [])


def test_when_none_can_serve_the_request_each_reason_is_told() -> None:
    refusals = [FieldError("prompt", "Longer than 5 tokens."), FieldError("prompt", "Longer than 9 tokens.")]
    providers = [Writer(refusal=refusals[0]), Writer(models=(Model("other", 9, "o"),))]
    with pytest.raises(Unprocessable) as caught:
        text_chain.begin(
            text_chain.candidates(providers, None),
            lambda candidate: refusals[1] if candidate.model.id == "other" else build(candidate),
            Deadline(LONG),
        )
    assert list(caught.value.errors) == refusals


def test_an_answer_that_is_closed_early_ends_the_stream(over: threading.Event) -> None:
    going_on = threading.Event()

    def script(request: TextRequest) -> Iterator[str]:
        yield "one"
        going_on.wait()
        yield "two"
        yield "three"

    writer = Writer(script=script)
    begun = started(writer)
    assert next(begun) == "one"
    begun.close()
    going_on.set()
    assert writer.streams[0].closed.wait(LONG)


def test_a_bug_of_a_provider_is_logged_as_an_error(log: Log) -> None:
    started(Writer("bad", error=ZeroDivisionError("no")), Writer())
    assert [line["provider"] for line in log.of("provider raised an unexpected error")] == ["bad"]
