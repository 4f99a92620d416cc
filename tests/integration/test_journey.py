"""A newcomer's way through the platform, and what it leaves in storage."""

import re
from uuid import uuid4

from tests.integration.client import PASSWORD, Api, Platform, User, assert_problem, eventually

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_register_login_and_who_am_i(api: Api) -> None:
    email = f"Newcomer-{uuid4().hex}@Example.com"
    registered = api.post("/auth/register", {"email": f"  {email} ", "password": PASSWORD})
    assert registered.status_code == 201
    assert registered.headers["Cache-Control"] == "no-store"
    tokens = registered.json()
    assert set(tokens) == {"accessToken", "refreshToken", "tokenType", "expiresIn", "user"}
    assert (tokens["tokenType"], tokens["expiresIn"]) == ("Bearer", 900)
    assert set(tokens["user"]) == {"id", "email", "role", "createdAt"}
    assert tokens["user"]["email"] == email
    assert TIME.fullmatch(tokens["user"]["createdAt"])

    logged_in = api.post("/auth/login", {"email": email.upper(), "password": PASSWORD})
    assert logged_in.status_code == 200
    assert logged_in.json()["user"] == tokens["user"]

    me = Api(api.url, logged_in.json()["accessToken"]).get("/users/me")
    assert (me.status_code, me.json()) == (200, tokens["user"])


def test_an_admin_reads_and_lists_what_is_anothers(platform: Platform, ana: User, bob: User) -> None:
    made = ana.post("/image/generate", {"prompt": "a fox", "size": "64x64"}).json()
    eventually(lambda: platform.lines("image", ana.id))
    assert_problem(bob.get(f"/admin/images?userId={ana.id}"), 403)
    platform.operate("promote", bob.email)
    admin = Api(bob.url, bob.post("/auth/refresh", {"refreshToken": bob.refresh_token}).json()["accessToken"])
    assert admin.get("/users/me").json()["role"] == "admin"
    assert admin.get(f"/image/{made['id']}").json() == made
    assert [item["id"] for item in admin.get(f"/admin/images?userId={ana.id}").json()["items"]] == [made["id"]]


def test_the_same_seed_makes_the_same_picture(platform: Platform, ana: User) -> None:
    body = {"prompt": "an owl [[status:503]]", "size": "96x64", "seed": 5}
    first, second = (ana.post("/image/generate", body).json() for _ in range(2))
    assert (first["meta"]["provider"], first["meta"]["seed"]) == ("offline", 5)
    assert platform.read("image", first["s3"]["image"]) == platform.read("image", second["s3"]["image"])


def test_a_history_is_paged_newest_first(platform: Platform, ana: User) -> None:
    made = [ana.post("/image/generate", {"prompt": str(n), "size": "64x64"}).json() for n in range(5)]
    eventually(lambda: len(platform.lines("image", ana.id)) == 5)
    seen, cursor = [], ""
    while cursor is not None:
        page = ana.get(f"/admin/images?limit=2{cursor and f'&cursor={cursor}'}").json()
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        cursor = page["nextCursor"]
    assert seen == [one["id"] for one in made[::-1]]
    first_day, last_day = (one["createdAt"][:10] for one in (made[0], made[-1]))
    assert len(ana.get(f"/admin/images?from={first_day}&to={last_day}").json()["items"]) == 5
    assert ana.get("/admin/images?from=2020-01-01&to=2020-12-31").json()["items"] == []


def test_health_and_keys_are_open(api: Api) -> None:
    assert api.get("/healthz").json() == {"status": "ok"}
    parts = dict.fromkeys(("postgresql", "signingKeys", "s3", "dynamodb"), "ok")
    assert api.get("/healthz?deep=true").json() == {"status": "ok", "parts": parts}
    jwks = api.get("/.well-known/jwks.json")
    assert "max-age" in jwks.headers["Cache-Control"]
    assert all(set(key) == {"kty", "use", "alg", "kid", "n", "e"} for key in jwks.json()["keys"])
