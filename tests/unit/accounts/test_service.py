"""Registering, logging in, and who somebody is."""

from uuid import uuid4

import bcrypt
import pytest

from accounts import service
from core import ids, times
from core.client import ClientInfo
from core.errors import Conflict, NotFound, ServiceUnavailable, Unauthorized, Unprocessable
from core.settings import SettingsError

PASSWORD = "password123"
CLIENT = ClientInfo(ip="203.0.113.9", user_agent="pytest")


def test_registering_answers_with_tokens_and_the_user(platform, email):
    answer = platform.accounts.register(email, PASSWORD, CLIENT)
    user = answer["user"]
    assert answer["tokenType"] == "Bearer"
    assert answer["expiresIn"] == 900
    assert user == {"id": user["id"], "email": email, "role": "user", "createdAt": times.rfc3339(platform.clock.now)}
    assert ids.is_valid(user["id"])
    claims = platform.claims(answer["accessToken"])
    assert (claims["sub"], claims["email"], claims["role"]) == (user["id"], email, "user")
    assert platform.query("SELECT user_id::text FROM sessions WHERE id = %s", claims["sid"]) == [(user["id"],)]


def test_the_user_is_what_me_shows(platform, email):
    user = platform.accounts.register(email, PASSWORD, CLIENT)["user"]
    assert platform.accounts.me(user["id"]) == user


def test_a_new_session_works_at_once(platform, email):
    answer = platform.accounts.register(email, PASSWORD, CLIENT)
    assert platform.accounts.refresh(answer["refreshToken"])["accessToken"]


def test_no_secret_is_stored_in_the_clear(platform, email):
    answer = platform.accounts.register(email, PASSWORD, CLIENT)
    user_id = answer["user"]["id"]
    rows = platform.query(
        "SELECT u::text, s::text, encode(s.secret_hash, 'base64') FROM users u JOIN sessions s ON s.user_id = u.id"
        " WHERE u.id = %s",
        user_id,
    )
    assert PASSWORD not in str(rows)
    assert answer["refreshToken"] not in str(rows)


@pytest.mark.parametrize("spelling", [str.upper, str.title, lambda email: email])
def test_an_email_is_taken_in_any_case(platform, email, spelling):
    platform.accounts.register(email, PASSWORD, CLIENT)
    with pytest.raises(Conflict) as refused:
        platform.accounts.register(spelling(email), PASSWORD, CLIENT)
    assert refused.value.type.endswith(":email-taken")


def test_two_unicode_forms_of_one_email_are_one(platform):
    unique = uuid4().hex
    platform.accounts.register(f"{unique}.jos\u00e9@example.com", PASSWORD, CLIENT)
    with pytest.raises(Conflict):
        platform.accounts.register(f"{unique}.JOSE\u0301@example.com", PASSWORD, CLIENT)


def test_a_refused_registration_leaves_nothing(platform, email):
    first = platform.accounts.register(email, PASSWORD, CLIENT)
    with pytest.raises(Conflict):
        platform.accounts.register(email, "another-password", CLIENT)
    assert platform.live_sessions(first["user"]["id"]) == 1
    assert platform.accounts.login(email, PASSWORD, CLIENT)


@pytest.mark.parametrize("common", [PASSWORD, PASSWORD.upper()])
def test_a_common_password_is_refused_unless_such_are_allowed(platform, email, common):
    strict = platform.another(refuse_common_passwords=True)
    with pytest.raises(Unprocessable) as refused:
        strict.register(email, common, CLIENT)
    assert [error.field for error in refused.value.errors] == ["password"]
    user = platform.accounts.register(email, common, CLIENT)
    # Who has one keeps it: only a choice is refused.
    assert strict.login(email, common, CLIENT)
    sid = platform.claims(user["accessToken"])["sid"]
    with pytest.raises(Unprocessable) as refused:
        strict.change_password(user["user"]["id"], sid, common, "football")
    assert [error.field for error in refused.value.errors] == ["newPassword"]
    platform.accounts.change_password(user["user"]["id"], sid, common, "football")


def test_login_takes_the_email_in_any_case_and_shows_it_as_registered(platform, email):
    registered = platform.accounts.register(email.title(), PASSWORD, CLIENT)["user"]
    assert platform.accounts.login(email.upper(), PASSWORD, CLIENT)["user"] == registered


def test_each_login_is_a_session_of_its_own(platform, email):
    registered = platform.accounts.register(email, PASSWORD, CLIENT)
    logged_in = platform.accounts.login(email, PASSWORD, CLIENT)
    sids = {platform.claims(answer["accessToken"])["sid"] for answer in (registered, logged_in)}
    assert len(sids) == 2
    assert platform.live_sessions(registered["user"]["id"]) == 2


def test_an_unknown_user_and_a_wrong_password_get_the_same_answer_after_the_same_work(platform, email, monkeypatch):
    platform.accounts.register(email, PASSWORD, CLIENT)
    work: list[int] = []
    for name in ("hashpw", "checkpw"):
        compute = getattr(bcrypt, name)
        monkeypatch.setattr(
            bcrypt, name, lambda text, salt, compute=compute: work.append(2 ** int(salt[4:6])) or compute(text, salt)
        )
    # The user's hash is from before the cost was raised.
    accounts, answers, totals = platform.another(rounds=6), [], []
    for who in (email, f"nobody.{email}"):
        with pytest.raises(Unauthorized) as refused:
            accounts.login(who, "wrong-password", CLIENT)
        answers.append((str(refused.value), refused.value.headers))
        totals.append(sum(work))
        work.clear()
    assert answers[0] == answers[1]
    assert totals == [2**6, 2**6]


def test_a_login_replaces_a_hash_that_has_become_too_cheap(platform, email):
    user = platform.accounts.register(email, PASSWORD, CLIENT)["user"]
    stronger = platform.another(rounds=5)
    stronger.login(email, PASSWORD, CLIENT)
    [(stored,)] = platform.query("SELECT password_hash FROM users WHERE id = %s", user["id"])
    assert stored.startswith("$2b$05$")
    assert stronger.login(email, PASSWORD, CLIENT)["user"] == user


def test_a_login_leaves_a_good_hash_alone(platform, email):
    user = platform.accounts.register(email, PASSWORD, CLIENT)["user"]
    before = platform.query("SELECT password_hash FROM users WHERE id = %s", user["id"])
    platform.accounts.login(email, PASSWORD, CLIENT)
    assert platform.query("SELECT password_hash FROM users WHERE id = %s", user["id"]) == before


@pytest.mark.parametrize(
    ("chosen", "typed"), [("caf\u00e9 noir", "cafe\u0301 noir"), ("cafe\u0301 noir", "caf\u00e9 noir")]
)
def test_the_forms_of_a_password_are_one_at_every_door(platform, email, chosen, typed):
    answer = platform.accounts.register(email, chosen, CLIENT)
    assert platform.accounts.login(email, typed, CLIENT)["user"] == answer["user"]
    session = answer["user"]["id"], platform.claims(answer["accessToken"])["sid"]
    platform.accounts.change_password(*session, typed, f"{typed} 2")
    assert platform.accounts.login(email, f"{chosen} 2", CLIENT)["user"] == answer["user"]


def test_a_hash_of_a_password_as_it_was_typed_is_replaced_by_one_of_its_normal_form(platform, email):
    typed, composed = "cafe\u0301 noir", "caf\u00e9 noir"
    user = platform.accounts.register(email, PASSWORD, CLIENT)["user"]
    former = bcrypt.hashpw(typed.encode(), bcrypt.gensalt(4)).decode()
    platform.query("UPDATE users SET password_hash = %s WHERE id = %s", former, user["id"])
    with pytest.raises(Unauthorized):
        platform.accounts.login(email, composed, CLIENT)
    assert platform.accounts.login(email, typed, CLIENT)["user"] == user
    [(stored,)] = platform.query("SELECT password_hash FROM users WHERE id = %s", user["id"])
    assert stored != former
    assert platform.accounts.login(email, composed, CLIENT)["user"] == user
    assert platform.accounts.login(email, typed, CLIENT)["user"] == user
    assert platform.query("SELECT password_hash FROM users WHERE id = %s", user["id"]) == [(stored,)]


def test_bcrypt_never_runs_inside_a_transaction(platform, email, transactions_during_bcrypt):
    platform.accounts.register(email, PASSWORD, CLIENT)
    accounts = platform.another(rounds=5)
    accounts.login(email, PASSWORD, CLIENT)
    accounts.register(f"other.{email}", PASSWORD, CLIENT)
    assert transactions_during_bcrypt == []


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (ClientInfo("203.0.113.9", "x" * 600), ("203.0.113.9", "x" * 512)),
        (ClientInfo(None, None), (None, None)),
        (ClientInfo("::1", "nul\0 surrogate\ud800 emoji 🦉"), ("::1", "nul surrogate? emoji 🦉")),
    ],
)
def test_the_session_remembers_the_client(platform, email, sent, kept):
    user = platform.accounts.register(email, PASSWORD, sent)["user"]
    assert platform.query("SELECT ip, user_agent FROM sessions WHERE user_id = %s", user["id"]) == [kept]


@pytest.mark.parametrize("user_id", ["018f3c1e-0000-7000-8000-000000000000", "not-an-id", "", "' OR 1=1 --"])
def test_me_of_nobody_is_unauthorized(platform, user_id):
    with pytest.raises(Unauthorized) as refused:
        platform.accounts.me(user_id)
    assert 'error="invalid_token"' in refused.value.headers["WWW-Authenticate"]


def test_a_promotion_shows_at_the_next_refresh(platform, email):
    answer = platform.accounts.register(email, PASSWORD, CLIENT)
    assert platform.accounts.promote(email.upper())["role"] == "admin"
    refreshed = platform.accounts.refresh(answer["refreshToken"])
    assert platform.claims(refreshed["accessToken"])["role"] == "admin"
    assert platform.accounts.me(answer["user"]["id"])["role"] == "admin"


def test_nobody_cannot_be_promoted(platform, email):
    with pytest.raises(NotFound):
        platform.accounts.promote(email)


def test_without_a_signing_key_nothing_is_created(platform, email, monkeypatch):
    def no_key() -> None:
        raise ServiceUnavailable("no key", retry_after=5)

    accounts = service.Accounts(platform.open_database(), no_key, bcrypt_rounds=4, refuse_common_passwords=False)
    with pytest.raises(ServiceUnavailable):
        accounts.register(email, PASSWORD, CLIENT)
    assert platform.accounts.register(email, PASSWORD, CLIENT)


def test_the_environment_makes_accounts_that_work(platform, email, monkeypatch, aws):
    database_arn = aws.create_secret(Name="database", SecretString=platform.server.url(platform.database_name))["ARN"]
    signing_arn = aws.create_secret(Name="signing", SecretString=platform.key.secret())["ARN"]
    monkeypatch.setenv("DATABASE_SECRET_ARN", database_arn)
    monkeypatch.setenv("SIGNING_SECRET_ARN", signing_arn)
    monkeypatch.setenv("TOKEN_ISSUER", "https://issuer.test")
    monkeypatch.setenv("TOKEN_AUDIENCE", "test-audience")
    monkeypatch.setenv("BCRYPT_ROUNDS", "10")
    monkeypatch.setenv("COMMON_PASSWORDS", "allow")
    service.from_env.cache_clear()
    service.database.from_env.cache_clear()
    accounts = service.from_env()
    assert accounts is service.from_env()
    answer = accounts.register(email, PASSWORD, CLIENT)
    assert platform.claims(answer["accessToken"])["sub"] == answer["user"]["id"]
    assert platform.claims(accounts.refresh(answer["refreshToken"])["accessToken"])["email"] == email
    service.database.from_env().close()
    service.from_env.cache_clear()
    service.database.from_env.cache_clear()


def test_an_environment_without_a_signing_key_can_do_all_but_issue_tokens(platform, email, monkeypatch, aws):
    arn = aws.create_secret(Name="database", SecretString=platform.server.url(platform.database_name))["ARN"]
    monkeypatch.setenv("DATABASE_SECRET_ARN", arn)
    monkeypatch.delenv("SIGNING_SECRET_ARN", raising=False)
    monkeypatch.setenv("TOKEN_ISSUER", "https://issuer.test")
    monkeypatch.setenv("TOKEN_AUDIENCE", "test-audience")
    user = platform.accounts.register(email, PASSWORD, CLIENT)["user"]
    service.from_env.cache_clear()
    service.database.from_env.cache_clear()
    accounts = service.from_env()
    assert accounts.me(user["id"]) == user
    with pytest.raises(SettingsError, match="SIGNING_SECRET_ARN"):
        accounts.login(email, PASSWORD, CLIENT)
    service.database.from_env().close()
    service.from_env.cache_clear()
    service.database.from_env.cache_clear()
