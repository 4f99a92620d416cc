"""Failed logins delay an account, exactly, also when they come at once."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event

import bcrypt
import pytest

from accounts import login_failures, password_guard, sessions
from core.client import ClientInfo
from core.errors import ProblemError, ServiceUnavailable, TooManyRequests, Unauthorized

PASSWORD = "password123"
WRONG = "wrong-password"
CLIENT = ClientInfo()
DELAYS = [30, 60, 120, 240, 480, 900, 900, 900]


@pytest.fixture(params=["an account", "no account"])
def anyone(request, platform, email) -> str:
    """An email with an account, and one without."""
    if request.param == "an account":
        platform.accounts.register(email, PASSWORD, CLIENT)
    return email


def attempt(accounts, email: str, password: str = WRONG) -> int | Exception:
    """The status of a login."""
    try:
        accounts.login(email, password, CLIENT)
    except ProblemError as error:
        return int(error.status)
    return 200


def fail(platform, email: str, times: int) -> None:
    assert [attempt(platform.accounts, email) for _ in range(times)] == [401] * times


def retry_after(platform, email: str, password: str = WRONG) -> int:
    with pytest.raises(TooManyRequests) as refused:
        platform.accounts.login(email, password, CLIENT)
    return int(refused.value.headers["Retry-After"])


def at_once(platform, passwords: dict[int, str], email: str, count: int) -> Counter[int | Exception]:
    """The statuses of logins at once, each from an execution environment of its own."""
    environments = [platform.another() for _ in range(count)]
    together = Barrier(count)

    def one(number: int) -> int | Exception:
        together.wait()
        return attempt(environments[number], email, passwords.get(number, WRONG))

    with ThreadPoolExecutor(count) as pool:
        return Counter(pool.map(one, range(count)))


@pytest.fixture
def checks(monkeypatch) -> list[bytes]:
    """The passwords that came through to bcrypt."""
    seen: list[bytes] = []
    for name in ("hashpw", "checkpw"):
        compute = getattr(bcrypt, name)

        def observed(text: bytes, salt: bytes, compute=compute) -> object:
            seen.append(text)
            return compute(text, salt)

        monkeypatch.setattr(bcrypt, name, observed)
    return seen


def test_the_fifth_failure_delays_the_account_and_each_one_after_it_doubles_the_delay(platform, anyone):
    fail(platform, anyone, 4)
    for seconds in DELAYS:
        fail(platform, anyone, 1)
        assert retry_after(platform, anyone) == seconds
        platform.clock.advance(seconds=seconds - 0.001)
        assert retry_after(platform, anyone) == 1
        platform.clock.advance(seconds=0.001)


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0), (4, 0), (5, 30), (6, 60), (9, 480), (10, 900), (10**9, 900)])
def test_a_delay_has_its_limits(failures, seconds):
    assert login_failures.delay_after(failures) == timedelta(seconds=seconds)


def test_the_seconds_to_wait_are_rounded_up(platform, anyone):
    fail(platform, anyone, 5)
    platform.clock.advance(seconds=0.2)
    assert retry_after(platform, anyone) == 30
    platform.clock.advance(seconds=28.9)
    assert retry_after(platform, anyone) == 1


def test_the_right_password_is_refused_during_a_delay_and_taken_after_it(platform, email):
    platform.accounts.register(email, PASSWORD, CLIENT)
    fail(platform, email, 5)
    assert retry_after(platform, email, PASSWORD) == 30
    platform.clock.advance(seconds=30)
    assert attempt(platform.accounts, email, PASSWORD) == 200


def test_a_delayed_password_is_not_verified(platform, anyone, checks):
    fail(platform, anyone, 5)
    checks.clear()
    retry_after(platform, anyone)
    assert checks == []


def test_attempts_during_a_delay_do_not_lengthen_it(platform, anyone):
    fail(platform, anyone, 5)
    for _ in range(29):
        platform.clock.advance(seconds=1)
        retry_after(platform, anyone)
    platform.clock.advance(seconds=1)
    fail(platform, anyone, 1)
    assert retry_after(platform, anyone) == 60


@pytest.mark.parametrize("failures", [1, 4, 5, 7])
def test_a_success_resets_the_count(platform, email, failures):
    platform.accounts.register(email, PASSWORD, CLIENT)
    for _ in range(failures):
        platform.clock.advance(hours=1)
        fail(platform, email, 1)
    platform.clock.advance(hours=1)
    assert attempt(platform.accounts, email, PASSWORD) == 200
    fail(platform, email, 5)
    assert retry_after(platform, email) == 30


def test_all_spellings_of_an_email_are_one_account_and_other_accounts_go_on(platform, anyone):
    for spelling in (anyone, anyone.upper(), anyone.title(), anyone, anyone.upper()):
        fail(platform, spelling, 1)
    retry_after(platform, anyone.title())
    fail(platform, f"other.{anyone}", 1)


def test_the_delay_looks_the_same_whether_the_account_exists_or_not(platform, email):
    platform.accounts.register(email, PASSWORD, CLIENT)
    seen = []
    for who in (email, f"nobody.{email}"):
        fail(platform, who, 5)
        with pytest.raises(TooManyRequests) as refused:
            platform.accounts.login(who, WRONG, CLIENT)
        seen.append((refused.value.detail, refused.value.type, refused.value.headers))
    assert seen[0] == seen[1]


def test_the_address_that_was_tried_is_not_stored(platform, anyone):
    fail(platform, anyone, 1)
    [(row,)] = platform.query("SELECT f::text FROM login_failures f WHERE account = %s", login_failures.key(anyone))
    assert anyone not in row


def test_a_login_that_succeeds_leaves_no_row(platform, email):
    platform.accounts.register(email, PASSWORD, CLIENT)
    attempt(platform.accounts, email, PASSWORD)
    assert platform.query("SELECT 1 FROM login_failures WHERE account = %s", login_failures.key(email)) == []


def test_the_begin_of_a_delay_is_logged_with_the_user_and_without_the_email(platform, anyone, log):
    fail(platform, anyone, 5)
    (event,) = [line for line in log.lines() if line.get("security_event") == "login_delayed"]
    users = platform.query("SELECT id::text FROM users WHERE email = %s", anyone)
    assert event["level"] == "WARNING"
    assert event["user_id"] == (users[0][0] if users else "unknown")
    assert event["delay_seconds"] == 30
    assert anyone not in log.getvalue()
    assert WRONG not in log.getvalue()


# ---------------------------------------------------------------- at once


@pytest.mark.parametrize("round_of_many", range(3))
def test_of_50_guesses_at_once_5_are_verified(platform, anyone, checks, round_of_many):
    assert at_once(platform, {}, anyone, 50) == {401: 5, 429: 45}
    # To nobody's password each guess is one computation; to a hash of full cost, too.
    assert checks == [WRONG.encode()] * 5
    assert retry_after(platform, anyone) == 30


@pytest.mark.parametrize("failures", [1, 2, 3, 4, 5, 6])
def test_guesses_at_once_are_no_more_than_guesses_in_turn(platform, anyone, failures):
    for _ in range(failures):
        fail(platform, anyone, 1)
        platform.clock.advance(minutes=2)
    left = max(1, 5 - failures)
    assert at_once(platform, {}, anyone, 12) == {401: left, 429: 12 - left}


@pytest.mark.parametrize("failures", [0, 4, 5])
def test_20_devices_at_once_with_the_right_password_all_get_in(platform, email, failures):
    platform.accounts.register(email, PASSWORD, CLIENT)
    fail(platform, email, failures)
    platform.clock.advance(seconds=30)
    assert at_once(platform, dict.fromkeys(range(20), PASSWORD), email, 20) == {200: 20}
    assert platform.query("SELECT 1 FROM login_failures WHERE account = %s", login_failures.key(email)) == []


def test_guesses_beside_a_success_are_no_more_than_before_and_after_it(platform, email, checks):
    """The success gives all places back, so there are five guesses before it and five after it at most."""
    platform.accounts.register(email, PASSWORD, CLIENT)
    checks.clear()
    statuses = at_once(platform, {0: PASSWORD}, email, 40)
    assert statuses[200] <= 1
    assert checks.count(WRONG.encode()) == statuses[401] <= 10
    retry_after(platform, email)


def test_who_waits_too_long_for_those_before_is_told_to_try_again(platform, anyone, monkeypatch, open_database):
    monkeypatch.setattr(password_guard, "PATIENCE_SECONDS", 0.1)
    account = login_failures.key(anyone)
    for _ in range(5):
        assert open_database().run(lambda cursor: login_failures.take_place(cursor, account, platform.clock.now))
    assert retry_after(platform, anyone) == 1


def test_an_attempt_that_was_never_decided_is_a_failure(platform, anyone, open_database):
    """Its function died: after half a minute the place is a failure, and not before."""
    account = login_failures.key(anyone)
    database = open_database()

    def take() -> bool:
        return database.run(lambda cursor: login_failures.take_place(cursor, account, platform.clock.now))

    assert [take() for _ in range(6)] == [True] * 5 + [False]
    platform.clock.advance(seconds=29.999)
    assert not take()
    platform.clock.advance(seconds=0.001)
    assert [take() for _ in range(2)] == [True, False]
    assert platform.query("SELECT failures, in_flight FROM login_failures WHERE account = %s", account) == [(5, 1)]


def test_a_database_that_dies_before_the_outcome_is_written_costs_the_guess(platform, anyone, monkeypatch):
    """No guess is free: what cannot be counted is not answered, and counts when its time is over."""

    def lost(*_arguments: object) -> timedelta:
        raise ServiceUnavailable("down", retry_after=5)

    with monkeypatch.context() as patched:
        patched.setattr(login_failures, "add_failure", lost)
        assert [attempt(platform.accounts, anyone) for _ in range(5)] == [503] * 5
    platform.clock.advance(seconds=30)
    fail(platform, anyone, 1)
    assert retry_after(platform, anyone) == 60


# ---------------------------------------------------------------- a password that changes meanwhile


def during_bcrypt(monkeypatch, act) -> None:
    """Let something happen once, when the next password has been verified."""
    check, done = bcrypt.checkpw, []

    def checkpw(text: bytes, stored: bytes) -> bool:
        verified = check(text, stored)
        if not done:
            done.append(True)
            act()
        return verified

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)


@pytest.fixture
def session(platform, email):
    """A new session: its ids."""
    answer = platform.accounts.register(email, PASSWORD, CLIENT)
    return answer["user"]["id"], platform.claims(answer["accessToken"])["sid"]


NEW = "another-password"


def test_a_login_whose_password_is_replaced_meanwhile_starts_no_session(platform, email, session, monkeypatch):
    other = platform.another()
    during_bcrypt(monkeypatch, lambda: other.change_password(*session, PASSWORD, NEW))
    with pytest.raises(Unauthorized):
        platform.accounts.login(email, PASSWORD, CLIENT)
    assert platform.live_sessions(session[0]) == 1


def test_a_login_whose_hash_is_renewed_meanwhile_goes_on(platform, email, session, monkeypatch):
    platform.accounts.login(email, PASSWORD, CLIENT)
    other = platform.another(rounds=5)
    during_bcrypt(monkeypatch, lambda: other.login(email, PASSWORD, CLIENT))
    assert platform.another(rounds=5).login(email, PASSWORD, CLIENT)
    assert platform.live_sessions(session[0]) == 4


def test_a_session_that_starts_just_before_the_change_is_ended_by_it(platform, email, session, monkeypatch):
    """The login holds the user's row until its session is there; the change waits for it, and then sees the session."""
    begun, start = Event(), sessions.start

    def start_slowly(*arguments: object) -> object:
        begun.set()
        time.sleep(0.3)
        return start(*arguments)

    monkeypatch.setattr(sessions, "start", start_slowly)
    with ThreadPoolExecutor(1) as pool:
        login = pool.submit(platform.another().login, email, PASSWORD, CLIENT)
        assert begun.wait(120)
        platform.accounts.change_password(*session, PASSWORD, NEW)
        assert login.result()
    assert platform.live_sessions(session[0]) == 1


def test_a_session_that_ends_meanwhile_does_not_change_the_password(platform, email, session, monkeypatch):
    other = platform.another()
    during_bcrypt(monkeypatch, lambda: other.end_session(*session))
    with pytest.raises(Unauthorized):
        platform.accounts.change_password(*session, PASSWORD, NEW)
    assert platform.accounts.login(email, PASSWORD, CLIENT)


@pytest.mark.parametrize("round_of_many", range(3))
def test_of_changes_at_once_one_wins_and_its_session_lives(platform, email, session, round_of_many):
    devices = [session]
    for _ in range(3):
        answer = platform.accounts.login(email, PASSWORD, CLIENT)
        devices.append((session[0], platform.claims(answer["accessToken"])["sid"]))
    environments = [platform.another() for _ in devices]
    together = Barrier(len(devices))

    def change(number: int) -> int:
        together.wait()
        try:
            environments[number].change_password(*devices[number], PASSWORD, f"{NEW}-{number}")
        except ProblemError as error:
            return int(error.status)
        return 204

    with ThreadPoolExecutor(len(devices)) as pool:
        statuses = list(pool.map(change, range(len(devices))))
    assert sorted(statuses) == [204, 401, 401, 401]
    winner = statuses.index(204)
    [shown] = platform.accounts.live_sessions(*devices[winner])
    assert shown["id"] == devices[winner][1]
    assert platform.accounts.login(email, f"{NEW}-{winner}", CLIENT)


def test_of_changes_at_once_in_one_session_one_wins(platform, email, session):
    environments, together = [platform.another() for _ in range(3)], Barrier(3)

    def change(number: int) -> int:
        together.wait()
        try:
            environments[number].change_password(*session, PASSWORD, f"{NEW}-{number}")
        except ProblemError as error:
            return int(error.status)
        return 204

    with ThreadPoolExecutor(3) as pool:
        statuses = list(pool.map(change, range(3)))
    assert sorted(statuses) == [204, 403, 403]
    assert platform.accounts.login(email, f"{NEW}-{statuses.index(204)}", CLIENT)


def test_bcrypt_never_runs_inside_a_transaction_of_a_change(platform, session, transactions_during_bcrypt):
    platform.accounts.change_password(*session, PASSWORD, NEW)
    assert transactions_during_bcrypt == []
