"""Every way in with what does not belong there: the documented 4xx as problem details, never a 5xx."""

from typing import Any

import pytest

from tests.integration.client import Api, User, assert_problem

POSTS = ["/auth/register", "/auth/login", "/auth/refresh", "/auth/logout"]
GETS = ["/users/me", "/.well-known/jwks.json", "/healthz"]

BODIES: list[tuple[str, bytes, int]] = [
    ("no body", b"", 400),
    ("not JSON", b"{", 400),
    ("deep", b"[" * 60_000, 400),
    ("a long number", b'{"prompt": ' + b"9" * 10_000 + b"}", 422),
    ("not a number", b'{"prompt": "a", "x": NaN}', 400),
    ("an array", b"[]", 422),
    ("a text", b'"x"', 422),
    ("a number", b"1", 422),
    ("null", b"null", 422),
    ("no field", b"{}", 422),
    ("1 MB", b'{"prompt": "' + b"a" * 1_048_576 + b'"}', 413),
]
WRONG_TYPES: list[Any] = [None, 1, True, 1.5, [], {}, ["x"]]


@pytest.mark.parametrize("path", POSTS)
def test_a_body_that_is_no_request_is_a_documented_4xx(api: Api, path: str) -> None:
    for name, content, status in BODIES:
        answer = api.call("POST", path, data=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == status, f"{name}: {answer.text}"
        problem = assert_problem(answer, status)
        if status == 422:
            assert all(set(error) == {"field", "message"} for error in problem["errors"])


@pytest.mark.parametrize(
    ("path", "good"),
    [
        ("/auth/register", {"email": "x@example.com", "password": "password123"}),
        ("/auth/login", {"email": "x@example.com", "password": "password123"}),
        ("/auth/refresh", {"refreshToken": "x" * 64}),
        ("/auth/logout", {"refreshToken": "x" * 64}),
        ("/image/generate", {"prompt": "a cat", "size": "64x64", "model": "flux", "seed": 1}),
        ("/tts/generate", {"prompt": "hello", "voice": "en", "model": "gtts"}),
    ],
)
def test_a_wrong_type_or_a_nul_in_any_field_is_422(api: Api, path: str, good: dict[str, Any]) -> None:
    for field in good:
        wrong = [value for value in WRONG_TYPES if field != "seed" or (value is not None and value != 1)]
        texts = ["\ud800"] if field == "refreshToken" else ["\ud800", "nul \0 character"]
        for value in [*wrong, *texts]:
            answer = api.post(path, good | {field: value})
            problem = assert_problem(answer, 422)
            assert [error["field"] for error in problem["errors"]] == [field], value


@pytest.mark.parametrize(
    "size",
    ["0x0", "-1x5", "99999x99999", "512X512", "512", "x", "", "512x512x512", " 512x512", "63x64", "64x2049", "٥١٢x٥١٢"],
)
def test_a_size_out_of_the_contract_is_422(api: Api, size: str) -> None:
    problem = assert_problem(api.post("/image/generate", {"prompt": "a cat", "size": size}), 422)
    assert problem["errors"][0]["field"] == "size"


@pytest.mark.parametrize("seed", [-1, 2**31, 1.5, "1", True, 10**30])
def test_a_seed_out_of_the_contract_is_422(api: Api, seed: object) -> None:
    assert_problem(api.post("/image/generate", {"prompt": "a cat", "size": "64x64", "seed": seed}), 422)


@pytest.mark.parametrize("voice", ["xx", "EN", "", "en-", "../en", "e" * 500])
def test_an_unknown_voice_is_422_and_names_the_choices(api: Api, voice: str) -> None:
    problem = assert_problem(api.post("/tts/generate", {"prompt": "hello", "voice": voice}), 422)
    for choice in ("en", "es", "fr", "de", "it", "pt", "ja", "zh-CN", "ko"):
        assert choice in problem["errors"][0]["message"]


@pytest.mark.parametrize(("path", "longest"), [("/image/generate", 2000), ("/tts/generate", 4096)])
def test_a_prompt_is_as_long_as_the_contract_says(api: Api, path: str, longest: int) -> None:
    assert_problem(api.post(path, {"prompt": " \n\t "}), 422)
    assert_problem(api.post(path, {"prompt": "a" * (longest + 1)}), 422)
    small = {"size": "64x64"} if path.startswith("/image") else {}
    answer = api.post(path, {"prompt": f"  {'word ' * (longest // 5)}".ljust(longest) + "  ", **small})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    "prompt", ["🦊🌙", "שלום עולם", "مرحبا بالعالم", "<b>&amp;</b>", "a/b?c#d%e", "'; DROP TABLE users; --", ".."]
)
def test_a_prompt_may_hold_any_text(api: Api, prompt: str) -> None:
    answer = api.post("/image/generate", {"prompt": prompt, "size": "64x64"})
    assert answer.status_code == 201, answer.text
    assert api.get(f"/image/{answer.json()['id']}").json()["prompt"] == prompt


@pytest.mark.parametrize("prompt", ["🦊🌙", "!!!", "...", "שלום עולם", "你好"])
def test_what_cannot_be_said_is_not_a_5xx(api: Api, prompt: str) -> None:
    assert api.post("/tts/generate", {"prompt": prompt}).status_code in (201, 422)


@pytest.mark.parametrize(
    "password", ["short", "", "p" * 73, "é" * 37, "nul\0password"], ids=["short", "empty", "73", "74 bytes", "nul"]
)
def test_a_password_out_of_the_contract_is_422(api: Api, password: str) -> None:
    assert_problem(api.post("/auth/register", {"email": "x@example.com", "password": password}), 422)


@pytest.mark.parametrize(
    "email", ["", "x", "@", "a@b", "a b@example.com", "a@@example.com", "a@example.com\0", "a" * 300]
)
def test_an_address_that_is_none_is_422(api: Api, email: str) -> None:
    assert_problem(api.post("/auth/register", {"email": email, "password": "password123"}), 422)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nope"), ("POST", "/nope"), ("GET", "/auth")],
)
@pytest.mark.needs("gateway_responses")
def test_a_route_that_does_not_exist_is_404(api: Api, ana: User, method: str, path: str) -> None:
    assert_problem(api.call(method, path), 404)
    assert_problem(ana.call(method, path), 404)


@pytest.mark.parametrize("path", [*POSTS, pytest.param("/users/me", marks=pytest.mark.needs("refusals")), *GETS[1:]])
def test_a_browser_of_another_origin_may_call_every_route(api: Api, path: str) -> None:
    method = "POST" if path in POSTS else "GET"
    preflight = api.call(
        "OPTIONS", path, headers={"Origin": "https://app.example.com", "Access-Control-Request-Method": method}
    )
    assert preflight.ok
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert method in preflight.headers["Access-Control-Allow-Methods"]
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"].lower()
    answer = api.call(method, path, headers={"Origin": "https://app.example.com"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
