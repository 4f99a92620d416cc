"""Refresh tokens at work: rotation, reuse, races, expiry, logout."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from accounts.errors import TokenReused
from accounts.refresh_tokens import RefreshToken
from core.client import ClientInfo
from core.errors import Unauthorized

CLIENT = ClientInfo()
AT_ONCE = 20


@pytest.fixture
def session(platform, email):
    """A new session: its answer."""
    return platform.accounts.register(email, "password123", CLIENT)


def refused(platform, token: str) -> Unauthorized:
    with pytest.raises(Unauthorized) as error:
        platform.accounts.refresh(token)
    return error.value


def test_a_refresh_answers_with_a_new_pair_for_the_same_session(platform, session):
    platform.clock.advance(minutes=14)
    refreshed = platform.accounts.refresh(session["refreshToken"])
    assert refreshed.keys() == {"accessToken", "refreshToken", "tokenType", "expiresIn"}
    assert refreshed["refreshToken"] != session["refreshToken"]
    before, after = (platform.claims(answer["accessToken"]) for answer in (session, refreshed))
    assert (after["sid"], after["sub"]) == (before["sid"], before["sub"])
    assert after["exp"] == before["exp"] + 14 * 60


def test_tokens_can_be_refreshed_again_and_again(platform, session):
    token = session["refreshToken"]
    for _ in range(5):
        platform.clock.advance(minutes=15)
        token = platform.accounts.refresh(token)["refreshToken"]
    assert platform.live_sessions(session["user"]["id"]) == 1


def test_a_lost_answer_can_be_asked_for_again_within_ten_seconds(platform, session):
    first = platform.accounts.refresh(session["refreshToken"])
    platform.clock.advance(seconds=10)
    again = platform.accounts.refresh(session["refreshToken"])
    assert again["refreshToken"] == first["refreshToken"]
    assert again["accessToken"] != first["accessToken"]
    assert platform.accounts.refresh(again["refreshToken"])


def test_replayed_refresh_token_revokes_the_family(platform, session):
    successor = platform.accounts.refresh(session["refreshToken"])["refreshToken"]
    platform.clock.advance(seconds=10.001)
    error = refused(platform, session["refreshToken"])
    assert isinstance(error, TokenReused)
    assert error.user_id == session["user"]["id"]
    assert error.session_id == platform.claims(session["accessToken"])["sid"]
    assert not isinstance(refused(platform, successor), TokenReused)
    assert platform.live_sessions(session["user"]["id"]) == 0


def test_an_older_ancestor_revokes_the_family_even_within_the_grace(platform, session):
    second = platform.accounts.refresh(session["refreshToken"])["refreshToken"]
    third = platform.accounts.refresh(second)["refreshToken"]
    assert isinstance(refused(platform, session["refreshToken"]), TokenReused)
    refused(platform, third)


def test_a_right_handle_with_a_made_up_secret_revokes_the_family(platform, session):
    token = RefreshToken.parse(session["refreshToken"])
    assert token is not None
    assert isinstance(refused(platform, str(RefreshToken(token.handle, b"x" * 32))), TokenReused)
    refused(platform, session["refreshToken"])


def test_a_replay_ends_one_session_and_not_the_others(platform, session, email):
    other = platform.accounts.login(email, "password123", CLIENT)
    platform.accounts.refresh(session["refreshToken"])
    platform.clock.advance(minutes=1)
    refused(platform, session["refreshToken"])
    assert platform.accounts.refresh(other["refreshToken"])


def test_all_refusals_look_the_same_to_the_caller(platform, session):
    reused = platform.accounts.refresh(session["refreshToken"])
    platform.clock.advance(minutes=1)
    errors = [
        refused(platform, session["refreshToken"]),
        refused(platform, reused["refreshToken"]),
        refused(platform, str(RefreshToken.new())),
        refused(platform, "garbage"),
        refused(platform, session["accessToken"]),
    ]
    assert len({(error.detail, error.type, str(error.headers), error.status) for error in errors}) == 1


@pytest.mark.parametrize("round_of_many", range(3))
def test_refreshes_at_once_with_one_token_leave_one_session_and_one_working_token(platform, session, round_of_many):
    environments = [platform.another() for _ in range(AT_ONCE)]
    together = Barrier(AT_ONCE)

    def refresh(number: int) -> dict[str, object]:
        together.wait()
        return environments[number].refresh(session["refreshToken"])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(refresh, range(AT_ONCE)))
    assert len({answer["refreshToken"] for answer in answers}) == 1
    assert platform.live_sessions(session["user"]["id"]) == 1
    platform.clock.advance(minutes=1)
    assert platform.accounts.refresh(answers[0]["refreshToken"])


def test_a_token_expires_30_days_after_its_last_use(platform, session):
    platform.clock.advance(days=29)
    token = platform.accounts.refresh(session["refreshToken"])["refreshToken"]
    platform.clock.advance(days=29, hours=23)
    token = platform.accounts.refresh(token)["refreshToken"]
    platform.clock.advance(days=30)
    assert not isinstance(refused(platform, token), TokenReused)


def test_a_session_ends_after_90_days_however_often_it_is_used(platform, session):
    token = session["refreshToken"]
    for _ in range(3):
        platform.clock.advance(days=29, hours=23)
        token = platform.accounts.refresh(token)["refreshToken"]
    platform.clock.advance(hours=2, minutes=59)
    token = platform.accounts.refresh(token)["refreshToken"]
    platform.clock.advance(minutes=1)
    refused(platform, token)


def test_the_replay_of_a_token_of_an_expired_session_is_no_security_event(platform, session):
    platform.accounts.refresh(session["refreshToken"])
    platform.clock.advance(days=31)
    assert not isinstance(refused(platform, session["refreshToken"]), TokenReused)


def test_a_deleted_user_cannot_refresh(platform, session):
    platform.query("DELETE FROM users WHERE id = %s", session["user"]["id"])
    refused(platform, session["refreshToken"])


def test_logout_ends_this_session_only(platform, session, email):
    other = platform.accounts.login(email, "password123", CLIENT)
    platform.accounts.logout(session["refreshToken"])
    refused(platform, session["refreshToken"])
    assert platform.accounts.refresh(other["refreshToken"])


def test_logout_everywhere_ends_all_sessions_of_this_user_only(platform, session, email):
    other = platform.accounts.login(email, "password123", CLIENT)
    stranger = platform.accounts.register(f"stranger.{email}", "password123", CLIENT)
    platform.accounts.logout(session["refreshToken"], everywhere=True)
    refused(platform, session["refreshToken"])
    refused(platform, other["refreshToken"])
    assert platform.accounts.refresh(stranger["refreshToken"])


@pytest.mark.parametrize("everywhere", [False, True])
def test_logging_out_twice_or_with_garbage_is_fine(platform, session, everywhere):
    platform.accounts.logout(session["refreshToken"], everywhere=everywhere)
    [before] = platform.query("SELECT revoked_at FROM sessions WHERE user_id = %s", session["user"]["id"])
    platform.clock.advance(minutes=1)
    for token in (session["refreshToken"], str(RefreshToken.new()), "garbage", ""):
        platform.accounts.logout(token, everywhere=everywhere)
    assert platform.query("SELECT revoked_at FROM sessions WHERE user_id = %s", session["user"]["id"]) == [before]


def test_logout_everywhere_takes_a_token_that_was_just_rotated(platform, session, email):
    platform.accounts.login(email, "password123", CLIENT)
    platform.accounts.refresh(session["refreshToken"])
    platform.accounts.logout(session["refreshToken"], everywhere=True)
    assert platform.live_sessions(session["user"]["id"]) == 0


def test_logout_everywhere_with_an_old_token_ends_its_own_session_only(platform, session, email):
    other = platform.accounts.login(email, "password123", CLIENT)
    successor = platform.accounts.refresh(session["refreshToken"])["refreshToken"]
    platform.clock.advance(minutes=1)
    platform.accounts.logout(session["refreshToken"], everywhere=True)
    refused(platform, successor)
    assert platform.accounts.refresh(other["refreshToken"])


def test_logout_everywhere_with_a_revoked_token_ends_nothing(platform, session, email):
    other = platform.accounts.login(email, "password123", CLIENT)
    platform.accounts.logout(session["refreshToken"])
    platform.accounts.logout(session["refreshToken"], everywhere=True)
    assert platform.accounts.refresh(other["refreshToken"])
