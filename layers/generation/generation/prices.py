"""What a call costs, in US dollars: texts by ``genai-prices``, pictures and speech by a table, both by a setting.

A price that nobody knows is None, never 0: 0 is what costs nothing.
"""

import json
import math
import os
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from core.settings import Setting, SettingsError

PRICES = Setting(
    "ModelPrices",
    'Prices that add to or override the known ones, in USD as JSON: {"provider/model": {"inputPerMillion": 0.15, '
    '"outputPerMillion": 0.6}}; also perPicture, perAudioSecond, charactersPerMillion. The model * is for all others.',
)

# What is counted and what it is counted by.
_UNITS = {
    "inputPerMillion": ("input_tokens", 1_000_000),
    "outputPerMillion": ("output_tokens", 1_000_000),
    "perPicture": ("pictures", 1),
    "perAudioSecond": ("audio_seconds", 1),
    "charactersPerMillion": ("characters", 1_000_000),
}
# List prices of us-east-1, November 2026. Nova Canvas asks more for a picture with a side beyond 1,024.
_KNOWN: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "offline/*": dict.fromkeys(_UNITS, 0.0),
        "gtts/*": {"charactersPerMillion": 0.0},
        "bedrock/amazon.nova-canvas-v1:0": {"perPicture": 0.04},
        "bedrock/amazon.nova-canvas-v1:0/large": {"perPicture": 0.06},
        "polly/polly-standard": {"charactersPerMillion": 4.0},
        "polly/polly-neural": {"charactersPerMillion": 16.0},
        "polly/polly-generative": {"charactersPerMillion": 30.0},
    }
)


def usd(
    provider: str,
    model: str,
    *,
    input_tokens: int = 0,
    output_tokens: int = 0,
    pictures: int = 0,
    audio_seconds: float = 0.0,
    characters: int = 0,
) -> float | None:
    """What a call of this provider with this model (its real name) cost; None when its price is not known."""
    used = {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "pictures": pictures,
        "audio_seconds": audio_seconds,
        "characters": characters,
    }
    used = {name: count for name, count in used.items() if count}
    prices = table(PRICES.read(os.environ))
    for name in (f"{provider}/{model}", f"{provider}/*"):
        if name in prices:
            return _total(prices[name], used)
    if used.keys() <= {"input_tokens", "output_tokens"}:
        return _of_text(provider, model, input_tokens, output_tokens)
    return None


@lru_cache(maxsize=4)
def table(text: str) -> Mapping[str, Mapping[str, float]]:
    """The known prices with those of the setting. Raises ``SettingsError`` that names the entry that is not valid."""
    try:
        given: Any = json.loads(text) if text else {}
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise SettingsError(f"{PRICES.parameter} is not a JSON object")
    for name, price in given.items():
        if not (isinstance(price, dict) and price and price.keys() <= _UNITS.keys()):
            raise SettingsError(f"{PRICES.parameter}: {name!r} must have some of {', '.join(_UNITS)}")
        if not all(_is_price(each) for each in price.values()):
            raise SettingsError(f"{PRICES.parameter}: a price of {name!r} is not a number of at least 0")
    return {**_KNOWN, **given}


def _is_price(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _total(price: Mapping[str, float], used: Mapping[str, float]) -> float | None:
    """None when something was used that has no price here."""
    by_counted = {counted: price[unit] / per for unit, (counted, per) in _UNITS.items() if unit in price}
    if not used.keys() <= by_counted.keys():
        return None
    return math.fsum(by_counted[counted] * count for counted, count in used.items())


def _of_text(provider: str, model: str, input_tokens: int, output_tokens: int) -> float | None:
    if provider not in ("bedrock", "openai"):
        return None
    # Late: it takes longer to import than boto3.
    import genai_prices

    usage = genai_prices.Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    try:
        if provider == "bedrock":
            return float(genai_prices.calc_price(usage, model, provider_id="aws").total_price)
        # Whose server it is decides: the same model costs nothing on one's own.
        url = os.environ.get("OPENAI_URL", "").strip() or "https://api.openai.com/v1"
        return float(genai_prices.calc_price(usage, model, provider_api_url=url).total_price)
    except LookupError:
        return None
