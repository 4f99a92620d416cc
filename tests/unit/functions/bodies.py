"""Bodies that no call of the API accepts, with the status that the contract gives each."""

import base64
import json

from core.http import MAX_BODY_BYTES

NOT_JSON: dict[str, str | None] = {
    "none": None,
    "empty": "",
    "a space": " ",
    "a form": "prompt=a&size=512x512",
    "cut": '{"prompt": "a',
    "with something behind it": '{"prompt": "a"} x',
    "two byte order marks": '\ufeff\ufeff{"prompt": "a"}',
    "a byte order mark alone": "\ufeff",
    "NaN": "NaN",
    "NaN in an unknown field": '{"prompt": "a", "x": [NaN]}',
    "an infinity in an unknown field": '{"prompt": "a", "x": {"y": -Infinity}}',
    "U+FFFD in a text": '{"prompt": "a\ufffd", "email": "a\ufffd@example.com"}',
    "U+FFFD in a name": '{"\ufffd": "a"}',
    "single quotes": "{'prompt': 'a'}",
    "NUL": "\0",
    "nested too deep": "[" * 30_000,
    "nested too deep and closed": '{"prompt":' + "[" * 30_000 + "]" * 30_000 + "}",
    "a lone surrogate outside of JSON": '{"prompt": "\ud800"}',
}
TOO_LARGE: dict[str, str | None] = {
    "1 MB of prompt": json.dumps({"prompt": "a" * 1_000_000}),
    "1 MB of array": "[" + "0," * 500_000 + "0]",
    "1 MB of spaces": " " * 1_000_000 + "{}",
}
NOT_AN_OBJECT: dict[str, str | None] = {
    "an array": "[]",
    "an array of an object": '[{"prompt": "a"}]',
    "a text": '"x"',
    "a number": "7",
    "true": "true",
    "null": "null",
    "a number of 5000 digits": "9" * 5000,
}
# Where a field is required.
WITHOUT_FIELDS: dict[str, str | None] = {
    "an empty object": "{}",
    "an empty object behind a byte order mark": "\ufeff{}",
    "numbers of 5000 digits": f'{{"prompt": {"9" * 5000}, "email": -{"9" * 5000}, "refreshToken": {"9" * 5000}}}',
    "other names": '{"Prompt": "a", "EMAIL": "a", "refresh_token": "x"}',
    "a lone surrogate as a name": '{"\\ud800": "a"}',
    "prototype": '{"__proto__": {"prompt": "a"}, "__class__": "x"}',
}
BINARY: dict[str, bytes] = {
    "UTF-16": '{"prompt": "a"}'.encode("utf-16"),
    "Latin-1": '{"prompt": "é"}'.encode("latin-1"),
    "no UTF-8 at all": b"\xff\xfe\xfd",
    "an encoded surrogate": b'{"prompt": "\xed\xa0\x80"}',
    "gzip": base64.b64decode("H4sIAAAAAAAAA6tWKijKzy1QslJKVKoFAHMYqVIPAAAA"),
}


def refused(max_body_bytes: int, *, requires_a_field: bool) -> dict[str, tuple[int, str | None]]:
    """What a call refuses that takes bodies of so many bytes."""
    few_characters = json.dumps({"prompt": "😀" * (max_body_bytes // 4)}, ensure_ascii=False)
    too_large = {**TOO_LARGE, "many bytes in few characters": few_characters}
    not_valid = {**NOT_AN_OBJECT, **(WITHOUT_FIELDS if requires_a_field else {})}
    return {
        **{f"not JSON: {name}": (400, body) for name, body in NOT_JSON.items()},
        **{f"too large: {name}": (413, body) for name, body in too_large.items()},
        **{f"not valid: {name}": (422, body) for name, body in not_valid.items()},
    }


REFUSED = refused(MAX_BODY_BYTES, requires_a_field=True)
