"""What calls cost: known, set by the stack, free, or not known."""

import json

import pytest

from core.settings import SettingsError
from generation import prices
from generation.prices import usd


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_PRICES", raising=False)
    monkeypatch.delenv("OPENAI_URL", raising=False)


def given(monkeypatch: pytest.MonkeyPatch, **table: object) -> None:
    monkeypatch.setenv("MODEL_PRICES", json.dumps({name.replace("__", "/"): price for name, price in table.items()}))


def test_a_text_costs_what_its_tokens_cost() -> None:
    both = usd("openai", "gpt-4o-mini-2024-07-18", input_tokens=1000, output_tokens=1000)
    alone = usd("openai", "gpt-4o-mini-2024-07-18", input_tokens=1000)
    assert both is not None
    assert alone is not None
    assert 0 < alone < both < 0.1


@pytest.mark.parametrize("prefix", ["", "us.", "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us."])
def test_models_of_bedrock_have_prices_by_id_and_by_profile(prefix: str) -> None:
    cost = usd("bedrock", f"{prefix}amazon.nova-micro-v1:0", input_tokens=1000, output_tokens=1000)
    assert cost is not None
    assert cost > 0


def test_the_same_model_on_ones_own_server_has_no_price_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_URL", "http://localhost:11434/v1")
    assert usd("openai", "gpt-4o-mini", input_tokens=1000) is None
    monkeypatch.setenv("OPENAI_URL", "https://openrouter.ai/api/v1")
    assert usd("openai", "openai/gpt-4o-mini", input_tokens=1000) is not None


@pytest.mark.parametrize(
    ("provider", "model"), [("pollinations", "openai"), ("openai", "none-such"), ("bedrock", "x"), ("?", "")]
)
def test_an_unknown_price_is_none_and_not_0(provider: str, model: str) -> None:
    assert usd(provider, model, input_tokens=1000, output_tokens=10) is None
    assert usd(provider, model, pictures=1) is None


def test_what_needs_no_network_costs_nothing() -> None:
    assert usd("offline", "SmolLM2-135M-Instruct", input_tokens=1000, output_tokens=10) == 0.0
    assert usd("offline", "drawing", pictures=1) == 0.0
    assert usd("gtts", "gtts", characters=100) == 0.0


def test_pictures_and_speech_have_a_table() -> None:
    assert usd("bedrock", "amazon.nova-canvas-v1:0", pictures=2) == pytest.approx(0.08)
    assert usd("polly", "polly-neural", characters=500_000) == pytest.approx(8.0)
    # A price of pictures says nothing about tokens.
    assert usd("bedrock", "amazon.nova-canvas-v1:0", pictures=1, input_tokens=5) is None


def test_the_stacks_prices_add_to_the_known_ones_and_override_them(monkeypatch: pytest.MonkeyPatch) -> None:
    given(
        monkeypatch,
        pollinations__flux={"perPicture": 0.001},
        polly__polly={"charactersPerMillion": 1},
        openai__mine={"inputPerMillion": 2, "outputPerMillion": 4},
        **{
            "openai__*": {"inputPerMillion": 0, "outputPerMillion": 0},
            "polly__polly-neural": {"charactersPerMillion": 1},
        },
    )
    assert usd("pollinations", "flux", pictures=3) == pytest.approx(0.003)
    assert usd("polly", "polly-neural", characters=1000) == pytest.approx(0.001)
    assert usd("polly", "polly-standard", characters=1000) == pytest.approx(0.004)
    assert usd("openai", "mine", input_tokens=500_000, output_tokens=250_000) == pytest.approx(2.0)
    assert usd("openai", "gpt-4o-mini", input_tokens=1000, output_tokens=10) == 0.0


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "not a JSON object"), ("[]", "not a JSON object"), ('{"a/b": 1}', "'a/b' must have"),
     ('{"a/b": {}}', "'a/b' must have"), ('{"a/b": {"perHour": 1}}', "must have some of inputPerMillion"),
     ('{"a/b": {"perPicture": -1}}', "not a number of at least 0"), ('{"a/b": {"perPicture": "1"}}', "not a number"),
     ('{"a/b": {"perPicture": true}}', "not a number"), ('{"a/b": {"perPicture": NaN}}', "not a number")],
)  # fmt: skip
def test_prices_that_are_not_valid_are_an_error_of_the_settings(text: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        prices.table(text)
