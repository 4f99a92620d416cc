"""Ids, cursors, query strings and headers of any text: a documented answer, and nobody gets what is not theirs."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core import ids
from core.client import ClientInfo
from core.identity import Identity
from generation import keys, records
from generation.cursors import CursorSigner, Position
from image.service import SERVICE as IMAGE
from tests import events, tokens
from tests.services import SERVICES
from tests.unit.functions.answers import Answer
from tests.unit.generation.samples import IDENTIFIERS, SIGNER, identifier, image_record
from tests.unit.properties.calls import FEW, QUICK, call
from tests.unit.properties.conftest import PASSWORD, World
from tests.unit.properties.values import HEADER_TEXTS, TEXTS
from tests.unit.stand_ins import ADMIN, BEN

# The routes of services are the same code: what holds for one of any text holds for all.
# By id: the method and the end of the path of each call.
BY_ID = {"get": ("GET", ""), "download": ("GET", "/download"), "delete": ("DELETE", "")}

OF_ANA, OF_BEN, OF_NOBODY = (identifier(rest=rest) for rest in (1, 2, 3))

PATHS = st.one_of(
    TEXTS,
    IDENTIFIERS.map(str.upper),
    IDENTIFIERS.flatmap(
        lambda one: st.sampled_from([one[:-1], one + "0", f"{one}/", f" {one}", f"{one}\n", one + "\0"])
    ),
    IDENTIFIERS.map(lambda one: one.replace("-7", "-4", 1)),
    st.uuids().map(str),
    st.sampled_from(["..", "../" + OF_BEN, "%2e%2e%2f", "generate", "undefined", "null", "0", "*", "a" * 5000]),
)


@pytest.fixture(scope="module")
def stored(world: World) -> World:
    """One picture each of the user, of somebody else, and of nobody."""
    bucket = world.s3.bucket()
    for record_id, owner in ((OF_ANA, world.user.sub), (OF_BEN, BEN.sub), (OF_NOBODY, keys.ANONYMOUS)):
        record = image_record(record_id, userId=owner, username=owner)
        bucket.put(keys.record_object(record_id), records.dumps(record), "application/json")
    return world


def by_id(name: str, record_id: str, caller: Identity | None) -> Answer:
    method, end = BY_ID[name]
    context = caller.context() if caller else None
    return call(
        f"image.{name}", events.aws(method, f"/image/{{id}}{end}", parameters={"id": record_id}, identity=context)
    )


# ---------------------------------------------------------------- ids


@pytest.mark.parametrize("name", BY_ID)
@QUICK
@given(path=PATHS)
def test_a_path_that_is_no_id_of_ours_is_404(stored: World, name: str, path: str) -> None:
    objects = dict(stored.s3.objects)
    by_id(name, path, ADMIN).problem(404)
    assert stored.s3.objects == objects


@pytest.mark.parametrize("name", BY_ID)
@FEW
@given(record_id=IDENTIFIERS, caller=st.sampled_from([ADMIN, BEN]))
def test_an_id_of_nothing_is_404(stored: World, name: str, record_id: str, caller: Identity) -> None:
    by_id(name, record_id, caller).problem(404)


@pytest.mark.parametrize("name", BY_ID)
@FEW
@given(sub=st.uuids().map(str) | IDENTIFIERS | TEXTS.filter(bool), role=TEXTS.filter(bool))
@example(sub="anonymous", role="user")
@example(sub=OF_BEN, role="Admin")
def test_what_is_another_users_is_404_to_everybody_else(stored: World, name: str, sub: str, role: str) -> None:
    objects = dict(stored.s3.objects)
    by_id(name, OF_BEN, replace(BEN, sub=sub, role=role)).problem(404)
    assert stored.s3.objects == objects


# ---------------------------------------------------------------- lists


@QUICK
@given(cursor=st.text(max_size=80) | st.from_regex(r"\A[A-Za-z0-9_-]{20,60}={0,2}\Z"))
def test_a_text_that_is_no_cursor_is_named(stored: World, cursor: str) -> None:
    event = events.aws("GET", "/admin/images", query={"cursor": cursor}, identity=stored.user.context())
    assert call("image.list", event).wrong_fields() == {"cursor"}


@FEW
@given(
    position=st.builds(
        Position, IDENTIFIERS, st.integers(0, 9999), st.lists(st.integers(0, 9999), max_size=3).map(tuple)
    ),
    place=st.integers(0, 200),
    letter=st.sampled_from("AZaz09-_=+ \n"),
)
def test_only_an_unchanged_cursor_of_the_same_history_is_taken(
    stored: World, position: Position, place: int, letter: str
) -> None:
    def listed(cursor: str, user: Identity = stored.user) -> Answer:
        event = events.aws("GET", "/admin/images", query={"cursor": cursor}, identity=user.context())
        return call("image.list", event)

    mine = SIGNER.sign(position, keys.history_prefix(IMAGE, stored.user.sub))
    assert listed(mine).status == 200
    assert listed(mine, BEN).wrong_fields() == {"cursor"}
    assert listed(mine, ADMIN).wrong_fields() == {"cursor"}
    for other in set(SERVICES) - {IMAGE}:
        assert listed(SIGNER.sign(position, keys.history_prefix(other, stored.user.sub))).status == 422
    forged = CursorSigner(b"a guess").sign(position, keys.history_prefix(IMAGE, stored.user.sub))
    assert listed(forged).wrong_fields() == {"cursor"}
    # The bits that the last letter has to spare mean nothing.
    place %= len(mine) - 1
    changed = mine[:place] + letter + mine[place + 1 :]
    if changed != mine:
        assert listed(changed).wrong_fields() == {"cursor"}


NUMBERS = st.integers().map(str) | st.sampled_from(
    ["", "1e1", "0x10", "1.0", "١", "9" * 5000, " 20", "+20", "1_0", "NaN"]
)
DAYS = (
    st.dates().map(str)
    | st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
    | st.sampled_from(
        ["2026-11-22T00:00:00Z", "0", "1795354200", "٢٠٢٦-١١-٢٢", "2026-W47-7", "0000-01-01", "today", ""]
    )
)
FLAGS = st.sampled_from(["true", "false", "1", "0", "yes", "TRUE", "on", "", "2", "null", " true", "tru", "\0", "é"])
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "limit": NUMBERS | TEXTS,
        "from": DAYS | TEXTS,
        "to": DAYS | TEXTS,
        "cursor": TEXTS,
        "userId": PATHS | st.just("anonymous"),
        "LIMIT": TEXTS,
        "limit[]": TEXTS,
    },
)


@QUICK
@example(query={"from": "2026-11-22", "to": "2026-11-21"}, is_admin=False, is_repeated=False)
@example(query={"from": "0"}, is_admin=False, is_repeated=False)
@given(query=QUERIES, is_admin=st.booleans(), is_repeated=st.booleans())
def test_no_query_breaks_a_list(stored: World, query: dict[str, str], is_admin: bool, is_repeated: bool) -> None:
    caller = ADMIN if is_admin else stored.user
    values = {name: [value, value] for name, value in query.items()} if is_repeated else query
    answer = call("image.list", events.aws("GET", "/admin/images", query=values, identity=caller.context()))
    assert answer.status in ({200, 404, 422} if is_admin else {200, 403, 422})
    if answer.status == 200:
        assert set(answer.json) == {"items", "nextCursor"}
        days = [query[name] for name in ("from", "to") if name in query]
        assert all(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day) for day in days)
        assert days == sorted(days)
        assert query.get("userId", "") in ("", caller.sub, "anonymous") or ids.is_valid(query["userId"])
    foreign = query.get("userId") not in (None, "", stored.user.sub)
    assert is_admin or not foreign or answer.status in (403, 422)


@FEW
@given(redirect=FLAGS | TEXTS | st.lists(FLAGS, min_size=2, max_size=3))
def test_no_value_of_redirect_breaks_a_download(stored: World, redirect: str | list[str]) -> None:
    event = events.aws("GET", "/image/{id}/download", parameters={"id": OF_NOBODY}, query={"redirect": redirect})
    assert call("image.download", event).status in (200, 302, 422)


@FEW
@given(deep=FLAGS | TEXTS | st.lists(FLAGS, min_size=2, max_size=3))
@example(deep=["null", "null"])
def test_no_value_of_deep_breaks_the_health_check(world: World, deep: str | list[str]) -> None:
    assert world
    assert call("ops.health", events.aws("GET", "/healthz", query={"deep": deep})).status in (200, 422)


# ---------------------------------------------------------------- headers

SCHEMES = ["Bearer {}", "bearer {}", "BEARER {}"]
BROKEN_SCHEMES = [
    "{}", "Bearer{}", "Bearer  {}", " Bearer {}", "Bearer {} ", "Bearer\t{}", "Basic {}", "DPoP {}", "Token {}",
    "Bearer {}, Bearer {}", "Bearer {};", '"Bearer {}"', "Bearer {}=a", "Bearer null", "Bearer undefined", "Bearer",
]  # fmt: skip


@QUICK
@given(
    authorization=HEADER_TEXTS | HEADER_TEXTS.map("Bearer {}".format) | TEXTS,
    name=st.sampled_from(["Authorization", "authorization", "AUTHORIZATION", "aUtHoRiZaTiOn"]),
)
def test_a_header_that_is_no_good_token_is_401_and_never_an_anonymous_caller(
    world: World, authorization: str, name: str
) -> None:
    before = world.state()
    for module, method, path, body in (
        ("image.generate", "POST", "/image/generate", '{"prompt": "a fox"}'),
        ("image.list", "GET", "/admin/images", None),
        ("users.me", "GET", "/users/me", None),
    ):
        answer = call(module, events.aws(method, path, body=body, headers={name: authorization}))
        assert answer.problem(401)
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert world.state() == before


@QUICK
@given(form=st.sampled_from(BROKEN_SCHEMES + SCHEMES), flaw=st.sampled_from(["", *sorted(tokens.bad_tokens())]))
def test_a_good_token_is_taken_in_one_form_and_a_bad_one_in_none(world: World, form: str, flaw: str) -> None:
    token = tokens.bad_tokens()[flaw] if flaw else world.token()
    answer = call("users.me", events.aws("GET", "/users/me", headers={"Authorization": form.format(token, token)}))
    assert answer.status == (200 if form in SCHEMES and not flaw else 401)


@FEW
@example(key="a-key")
@given(key=HEADER_TEXTS | TEXTS | st.sampled_from(["x" * 255, "x" * 256, "[caller,key]", "`", "',x", '"']))
def test_an_idempotency_key_is_named_or_stands_for_one_picture(world: World, key: str) -> None:
    headers = world.headers() | {"Idempotency-Key": key}
    event = events.aws("POST", "/image/generate", body='{"prompt": "a fox"}', headers=headers)
    before = world.state()
    first, second = call("image.generate", event), call("image.generate", event)
    if first.status == 201:
        assert (second.status, second.json) == (201, first.json)
        bens = headers | {"Authorization": f"Bearer {tokens.access_token(sub=BEN.sub)}"}
        by_ben = call("image.generate", events.aws("POST", "/image/generate", body='{"prompt": "a fox"}', headers=bens))
        assert by_ben.json["id"] != first.json["id"]
        another = call("image.generate", event | {"body": '{"prompt": "a hare"}'})
        assert another.problem(422)["type"].endswith("idempotency-key-reused")
    else:
        assert first.problem(422)["errors"]
        assert world.state() == before


@QUICK
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "X-Forwarded-For",
                "x-forwarded-for",
                "Forwarded",
                "X-Real-IP",
                "CF-Connecting-IP",
                "True-Client-IP",
                "Via",
            ]
        ),
        st.ip_addresses().map(str) | HEADER_TEXTS,
    )
)
def test_no_header_changes_where_a_request_comes_from(headers: dict[str, str]) -> None:
    for gateway in events.GATEWAYS.values():
        plain, decorated = gateway("GET", "/"), gateway("GET", "/", headers=headers)
        assert ClientInfo.from_event(decorated) == ClientInfo.from_event(plain)


@QUICK
@given(st.none() | TEXTS | st.ip_addresses(v=6).map(str) | st.ip_addresses(v=4).map("::ffff:{}".format))
def test_any_source_address_is_counted_as_something(address: str | None) -> None:
    network = ClientInfo(ip=address).network
    assert network == "unknown" or network.isascii()
    # The neighbours of an IPv6 address share its counter.
    assert ":" not in network or network.endswith("::/64") or network.endswith("/64")


@FEW
@given(
    headers=st.dictionaries(
        st.sampled_from(["Content-Type", "Accept", "Content-Length", "Origin", "Host", "Cookie", "X-Request-Id"])
        | st.text("abcxyz-", min_size=1, max_size=9),
        HEADER_TEXTS,
        max_size=4,
    ),
    user_agent=st.none() | TEXTS,
    source=st.none() | TEXTS,
)
def test_no_other_header_and_no_client_breaks_a_login(
    world: World, headers: dict[str, str], user_agent: str | None, source: str | None
) -> None:
    body = json.dumps({"email": world.user.email, "password": PASSWORD})
    event = events.aws("POST", "/auth/login", body=body, headers=headers)
    event["requestContext"]["identity"] = {"sourceIp": source, "userAgent": user_agent}
    assert call("auth.login", event).status == 200


def test_the_ids_of_these_tests_are_ids() -> None:
    assert all(map(ids.is_valid, (OF_ANA, OF_BEN, OF_NOBODY)))
