"""What callers may send: JSON of every kind, and what only looks like it."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

# Lone surrogates included: JSON can write them, UTF-8 cannot.
TEXTS = st.text(st.characters(codec=None), max_size=20)
HEADER_TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=60)

ODD = [
    None, True, False, 0, -1, 1.5, 2**31, 2**63, 10**400, 1e400, -1e400, float("nan"), "", " ", "\0", "nul \0", "\ud800",
    "\u202e", "\ufeff", "\ufffd", "null", "{}", [], [[]], {}, {"$ref": "#"}, "x" * 80, "😀" * 40, "-", "../..", "%00", "٥",
    "pass\0word", "pass\ud800word", "a\0@example.com", "a\ud800@example.com", "a\x07@example.com", "a@b", "é" * 37,
    "pass\ufffdword", "a\ufffd@example.com", "a,b@example.com", ".a@example.com", "a@xn--0.com", "a@exämple.com", "pass\tword",
    "\u0958" * 13, "e\u0301" * 36,
]  # fmt: skip

# Each of these once in a body: a failing example is printed.
LONG = ["é" * 5000, "a" * 2001, "\\" * 9000, 10**4299, ["x"] * 3000]

JSON_VALUES = st.recursive(
    st.sampled_from(ODD) | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def near(good: Mapping[str, Any]) -> st.SearchStrategy[str]:
    """A body that is almost this one: a field or two are odd, some are not there or come twice, there may be others."""
    names = st.sampled_from(sorted(good))
    values = st.sampled_from([*ODD, *LONG]) | JSON_VALUES

    @st.composite
    def bodies(draw: st.DrawFn) -> str:
        fields = [item for item in good.items() if draw(st.integers(0, 9))]
        fields += draw(st.lists(st.tuples(names, values), min_size=1, max_size=2))
        fields += draw(st.lists(st.tuples(TEXTS, values), max_size=1))
        order = draw(st.permutations(fields))
        dumped = [f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=draw(st.booleans()))}" for name, value in order]
        return "{" + ",".join(dumped) + "}"

    return bodies()


def damaged(good: Mapping[str, Any]) -> st.SearchStrategy[str]:
    """The text of this body with a part of it replaced by any text."""
    text = json.dumps(good)
    return st.builds(
        lambda start, length, patch: text[:start] + patch + text[start + length :],
        st.integers(0, len(text)),
        st.integers(0, len(text)),
        TEXTS | st.sampled_from(["\\ud800", "\\u0000", "NaN", "-Infinity", "1" * 5000, "[" * 3000, '{"":' * 3000]),
    )
