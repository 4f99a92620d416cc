"""Gateways leave members out, or write null for them: the answer is the same as to the whole event."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import events
from tests.events import Event
from tests.services import NAMES
from tests.unit.functions.template import functions
from tests.unit.properties.calls import FEW, QUICK, call
from tests.unit.properties.conftest import World
from tests.unit.properties.values import HEADER_TEXTS, TEXTS

ROUTES = {module: function.routes[0] for module, function in functions().items() if function.routes}
# What a caller without a token, a body or a query gets; a call that is not here needs one of them.
PLAIN = {
    "auth.jwks": 200,
    "ops.health": 200,
    "users.me": 401,
    "chat.sessions": 401,
    "chat.models": 200,
    **{f"{name}.{call}": 404 for name in NAMES for call in ("get", "download")},
}

# Where an event may have null or nothing when there is nothing to tell.
OPTIONAL = [
    ("headers",), ("multiValueHeaders",), ("queryStringParameters",), ("multiValueQueryStringParameters",), ("body",),
    ("stageVariables",), ("isBase64Encoded",), ("requestContext", "identity"), ("requestContext", "requestId"),
    ("requestContext", "authorizer"), ("requestContext", "path"), ("requestContext", "stage"),
    ("requestContext", "identity", "sourceIp"), ("requestContext", "identity", "userAgent"), ("requestContext",),
]  # fmt: skip


def without(event: Event, members: list[tuple[str, ...]], *, is_null: bool) -> Event:
    """The event with these members null or not there."""
    event = deepcopy(event)
    for *way, name in members:
        place: Any = event
        for step in way:
            place = (place or {}).get(step)
        if isinstance(place, dict):
            place.pop(name, None)
            if is_null:
                place[name] = None
    return event


@QUICK
@given(
    module=st.sampled_from(sorted(PLAIN)),
    gateway=st.sampled_from(sorted(events.GATEWAYS)),
    members=st.lists(st.sampled_from(OPTIONAL), unique=True),
    is_null=st.booleans(),
)
def test_a_call_needs_none_of_what_a_gateway_may_leave_out(
    world: World, module: str, gateway: str, members: list[tuple[str, ...]], is_null: bool
) -> None:
    assert world
    route = ROUTES[module]
    event = events.GATEWAYS[gateway](route.method, route.path, parameters={"id": "x"} if "{id}" in route.path else None)
    assert call(module, without(event, members, is_null=is_null)).status == PLAIN[module]


@pytest.mark.parametrize("module", sorted(ROUTES))
@FEW
@given(members=st.lists(st.sampled_from(OPTIONAL), unique=True), is_null=st.booleans())
def test_no_call_fails_for_what_a_gateway_may_leave_out(
    world: World, module: str, members: list[tuple[str, ...]], is_null: bool
) -> None:
    assert world
    route = ROUTES[module]
    event = events.aws(route.method, route.path, parameters={"id": "x"} if "{id}" in route.path else None, body="{}")
    call(module, without(event, members, is_null=is_null))


@QUICK
@given(
    headers=st.dictionaries(HEADER_TEXTS, st.none() | HEADER_TEXTS, max_size=4),
    module=st.sampled_from(["image.generate", "auth.login", "auth.jwks"]),
)
def test_a_header_may_have_any_name_and_no_value(world: World, headers: dict[str, str | None], module: str) -> None:
    assert world
    event = events.aws(ROUTES[module].method, ROUTES[module].path, body="{}")
    event |= {"headers": headers, "multiValueHeaders": {name: [value] for name, value in headers.items()}}
    assert call(module, event).status in ({200} if module == "auth.jwks" else {422, 401})


@QUICK
@given(
    path=TEXTS.map("/".__add__),
    resource=st.sampled_from([None, "", "/", "/image/{id}/x"]),
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "TRACE", ""]),
)
def test_no_path_and_no_method_breaks_a_function(world: World, path: str, resource: str | None, method: str) -> None:
    assert world
    for module in ("image.get", "auth.login", "ops.health"):
        event = events.aws(method, ROUTES[module].path, body="{}") | {"path": path}
        assert call(module, event | {"resource": resource}).status == 404
        if method != ROUTES[module].method.replace("GET", "HEAD"):
            call(module, event)
