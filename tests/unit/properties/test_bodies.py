"""Whatever is sent as a body is answered as the contract says; a refused one stores nothing and asks nobody."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import events
from tests.unit.functions.template import functions
from tests.unit.properties.calls import FEW, QUICK, call, function
from tests.unit.properties.conftest import PASSWORD, World
from tests.unit.properties.values import JSON_VALUES, TEXTS, damaged, near

ROUTES = {module: function.routes[0] for module, function in functions().items() if function.routes}
WITH_BODIES = [module for module, route in ROUTES.items() if route.method in ("POST", "PATCH")]

GOOD: dict[str, dict[str, Any]] = {
    "auth.register": {"email": "ana@example.com", "password": PASSWORD},
    "auth.login": {"email": "ana@example.com", "password": PASSWORD},
    "auth.refresh": {"refreshToken": "A" * 64},
    "auth.logout": {"refreshToken": "A" * 64, "everywhere": True},
    "auth.password": {"currentPassword": "not this one", "newPassword": PASSWORD},
    "console.session": {"refreshToken": "A" * 64},
    "image.generate": {"prompt": "a fox", "size": "64x64", "seed": 1, "model": "flux"},
    "tts.generate": {"prompt": "hello", "voice": "en", "model": "gtts"},
    "summarize.generate": {"text": "Rain. Wind. Snow.", "length": "short", "style": "bullets", "language": "en"},
    "chat.generate": {
        "prompt": "hello", "system": "Be kind.", "sessionId": None, "temperature": 1, "maxTokens": 9, "stream": False,
    },
    "chat.create_session": {"title": "Lamps", "model": None, "system": "Be kind."},
    "chat.change_session": {"title": "Lamps", "starred": True, "model": None, "system": "Be kind."},
}  # fmt: skip
# What a call may answer to somebody who may call it, beside 400, 413 and 422.
ANSWERS = {
    "auth.register": {201, 409},
    "auth.login": {200, 401, 429},
    "auth.refresh": {200, 401},
    "auth.logout": {204},
    "auth.password": {403, 429},
    "console.session": {200, 204, 401},
    "image.generate": {201},
    "tts.generate": {201},
    "summarize.generate": {201},
    "chat.generate": {200, 201, 404},
    "chat.create_session": {201},
    "chat.change_session": {200},
}


def send(world: World, module: str, gateway: str, body: str | None, *, base64_encoded: bool = False) -> int:
    """Send a body with a token, compare what was before with what is after, and return the status."""
    before = world.state()
    event = events.GATEWAYS[gateway](
        ROUTES[module].method,
        ROUTES[module].path,
        parameters={"id": world.session_id} if "{id}" in ROUTES[module].path else None,
        body=body,
        base64_encoded=base64_encoded,
        headers=world.headers(),
    )
    answer = call(module, event)
    assert answer.status in {400, 413, 422} | ANSWERS[module], answer.body
    if answer.status >= 400:
        assert world.state() == before
    return answer.status


def answers_to(module: str, text: str) -> set[int]:
    """What this text may be answered with."""
    try:
        body = text.encode()
        document = json.loads(
            text.removeprefix("\ufeff"), parse_int=lambda digits: int(digits[:4300]), parse_constant=no_constant
        )
    except (ValueError, RecursionError):
        return {400, 413}
    if len(body) > function(module).handler.max_body_bytes:
        return {413}
    if "\ufffd" in text:
        return {400}
    if not isinstance(document, dict) or any(is_broken(name, document.get(name)) for name in GOOD[module]):
        return {422}
    return {422} | ANSWERS[module]


def no_constant(name: str) -> None:
    """NaN and the infinities are Python's, not JSON's."""
    raise ValueError(name)


def is_broken(name: str, value: object) -> bool:
    """Whether this is a text that the field never takes.

    Only a refresh token, which is merely a wrong one, may hold NUL; a broken character is let be where nothing is compared.
    """
    if not isinstance(value, str):
        return False
    if "\ufffd" in value and (name == "email" or name.lower().endswith("password")):
        return True
    return ("\0" in value and name != "refreshToken") or any("\ud800" <= character <= "\udfff" for character in value)


def test_every_call_with_a_body_is_tried() -> None:
    assert set(GOOD) == set(ANSWERS) == set(WITH_BODIES)


@pytest.mark.parametrize("module", GOOD)
@QUICK
@given(data=st.data(), gateway=st.sampled_from(sorted(events.GATEWAYS)))
def test_a_text_that_is_almost_a_request_is_a_documented_answer(
    world: World, module: str, data: st.DataObject, gateway: str
) -> None:
    text = data.draw(near(GOOD[module]) | damaged(GOOD[module]))
    assert send(world, module, gateway, text) in answers_to(module, text)


@pytest.mark.parametrize("module", GOOD)
@QUICK
@given(data=st.data(), gateway=st.sampled_from(sorted(events.GATEWAYS)))
def test_any_json_is_a_documented_answer(world: World, module: str, data: st.DataObject, gateway: str) -> None:
    good = st.just(GOOD[module])
    text = json.dumps(data.draw(JSON_VALUES | st.lists(good, max_size=2) | st.dictionaries(TEXTS, good)))
    assert send(world, module, gateway, text) in answers_to(module, text)


@pytest.mark.parametrize("module", GOOD)
@FEW
@given(
    data=st.data(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-be", "utf-7", "latin-1", "cp037"]),
    is_marked=st.booleans(),
)
def test_bytes_of_any_encoding_are_a_documented_answer(
    world: World, module: str, data: st.DataObject, encoding: str, is_marked: bool
) -> None:
    text = data.draw(near(GOOD[module]))
    content = data.draw(st.just(text.encode(encoding, "replace")) | st.binary(max_size=40))
    send(world, module, "aws", events.in_base64(content), base64_encoded=is_marked)


@pytest.mark.parametrize("module", GOOD)
@FEW
@given(body=st.none() | st.text(max_size=30))
def test_a_body_that_is_marked_as_base64_and_is_none_is_a_documented_answer(
    world: World, module: str, body: str | None
) -> None:
    send(world, module, "aws", body, base64_encoded=True)
