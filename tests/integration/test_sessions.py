"""Sessions, refresh tokens, logout and the change of a password, over HTTP."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.client import PASSWORD, Api, Platform, User, assert_problem

NEW_PASSWORD = "wrong donkey charger"


def sessions(user: Api) -> list[dict[str, Any]]:
    """The user's sessions that live."""
    answer = user.get("/auth/sessions")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def log_in(user: User, password: str = PASSWORD) -> User:
    """The user on another device."""
    answer = Api(user.url).post("/auth/login", {"email": user.email, "password": password})
    assert answer.status_code == 200, answer.text
    tokens = answer.json()
    return User(user.url, tokens["accessToken"], id=user.id, email=user.email, refresh_token=tokens["refreshToken"])


def can_refresh(user: User) -> bool:
    return user.post("/auth/refresh", {"refreshToken": user.refresh_token}).status_code == 200


def test_a_refresh_token_is_exchanged_for_a_new_pair(ana: User) -> None:
    answer = ana.post("/auth/refresh", {"refreshToken": ana.refresh_token})
    assert answer.status_code == 200
    assert set(answer.json()) == {"accessToken", "refreshToken", "tokenType", "expiresIn"}
    assert answer.json()["refreshToken"] != ana.refresh_token
    assert Api(ana.url, answer.json()["accessToken"]).get("/users/me").json()["id"] == ana.id


def test_refreshes_at_once_end_in_one_session_that_lives(ana: User) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(lambda _: Api(ana.url).post("/auth/refresh", {"refreshToken": ana.refresh_token}), range(20))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refreshToken"] for answer in answers}) == 1
    survivor = answers[0].json()["refreshToken"]
    assert [session["current"] for session in sessions(ana)] == [True]
    assert ana.post("/auth/refresh", {"refreshToken": survivor}).status_code == 200


def test_a_reused_refresh_token_ends_its_session(ana: User) -> None:
    first = ana.post("/auth/refresh", {"refreshToken": ana.refresh_token}).json()["refreshToken"]
    second = ana.post("/auth/refresh", {"refreshToken": first}).json()["refreshToken"]
    assert_problem(ana.post("/auth/refresh", {"refreshToken": ana.refresh_token}), 401)
    assert_problem(ana.post("/auth/refresh", {"refreshToken": second}), 401)


def test_logout_ends_the_session_and_may_be_repeated(ana: User) -> None:
    for _ in range(2):
        answer = ana.post("/auth/logout", {"refreshToken": ana.refresh_token})
        assert (answer.status_code, answer.content) == (204, b"")
    assert_problem(ana.post("/auth/refresh", {"refreshToken": ana.refresh_token}), 401)


def test_logout_everywhere_ends_all_sessions_of_the_user_only(ana: User, bob: User) -> None:
    second = ana.post("/auth/login", {"email": ana.email, "password": PASSWORD}).json()["refreshToken"]
    assert ana.post("/auth/logout", {"refreshToken": second, "everywhere": True}).status_code == 204
    assert_problem(ana.post("/auth/refresh", {"refreshToken": ana.refresh_token}), 401)
    assert bob.post("/auth/refresh", {"refreshToken": bob.refresh_token}).status_code == 200


def test_an_address_is_taken_without_regard_to_case(ana: User) -> None:
    problem = assert_problem(ana.post("/auth/register", {"email": ana.email.upper(), "password": PASSWORD}), 409)
    assert problem["type"].endswith("email-taken")


def test_an_unknown_user_and_a_wrong_password_get_the_same_answer(ana: User) -> None:
    answers = [
        Api(ana.url).post("/auth/login", {"email": email, "password": "not the password"})
        for email in (ana.email, "nobody@example.com")
    ]
    problems = [assert_problem(answer, 401) | {"requestId": ""} for answer in answers]
    assert problems[0] == problems[1]


def test_registrations_at_once_of_one_address_make_one_account(api: Api) -> None:
    body = {"email": "race@example.com", "password": PASSWORD}
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(lambda _: Api(api.url).post("/auth/register", body).status_code, range(16)))
    assert statuses == [201] + [409] * 15


# ---------------------------------------------------------------- where somebody is logged in


def test_a_user_sees_own_sessions_the_last_used_first(ana: User, bob: User) -> None:
    phone = log_in(ana)
    assert can_refresh(ana)
    first, second = sessions(ana)
    assert set(first) == {"id", "createdAt", "lastUsedAt", "userAgent", "ip", "current"}
    assert (first["current"], second["current"]) == (True, False)
    assert first["createdAt"] < second["createdAt"] < first["lastUsedAt"]
    assert [session["current"] for session in sessions(phone)] == [False, True]
    assert len(sessions(bob)) == 1


@pytest.mark.needs("user_agents")
def test_a_session_tells_which_program_logged_in(ana: User) -> None:
    login = {"email": ana.email, "password": PASSWORD}
    assert ana.post("/auth/login", login, headers={"User-Agent": "a lighthouse/1.0"}).status_code == 200
    registered, logged_in = sorted((each["userAgent"] for each in sessions(ana)), reverse=True)
    assert registered.startswith("python-requests/")
    assert logged_in == "a lighthouse/1.0"


def test_a_session_can_be_ended_from_another_and_again(ana: User) -> None:
    phone = log_in(ana)
    (theirs,) = [session["id"] for session in sessions(phone) if session["current"]]
    for _ in range(2):
        answer = ana.call("DELETE", f"/auth/sessions/{theirs}")
        assert (answer.status_code, answer.content) == (204, b"")
    assert not can_refresh(phone)
    assert can_refresh(ana)
    assert [session["current"] for session in sessions(ana)] == [True]


def test_nobody_ends_the_session_of_somebody_else(ana: User, bob: User) -> None:
    (theirs,) = [session["id"] for session in sessions(bob)]
    for session_id in (theirs, "x", "01a203f4-c93d-73f7-ad77-fc2ab9452dce"):
        assert_problem(ana.call("DELETE", f"/auth/sessions/{session_id}"), 404)
    assert Api(ana.url).call("DELETE", f"/auth/sessions/{theirs}").status_code == 401
    assert can_refresh(bob)


def test_a_session_that_is_over_is_purged_a_day_later(platform: Platform, ana: User) -> None:
    """The function runs and may do what it must; what it deletes is tested where time can be moved."""
    ana.post("/auth/logout", {"refreshToken": log_in(ana).refresh_token})
    answer = platform.aws("lambda").invoke(FunctionName=platform.resource("PurgeFunction"), Payload=b"{}")
    assert "FunctionError" not in answer
    assert json.loads(answer["Payload"].read()) == {"sessions": 0, "loginFailures": 0, "complete": True}
    assert can_refresh(ana)


# ---------------------------------------------------------------- another password


def change(user: User, current: str, new: str) -> Any:
    return user.post("/auth/password", {"currentPassword": current, "newPassword": new})


def test_another_password_ends_all_other_sessions(ana: User) -> None:
    phone = log_in(ana)
    answer = change(phone, PASSWORD, NEW_PASSWORD)
    assert (answer.status_code, answer.content) == (204, b"")
    assert not can_refresh(ana)
    assert can_refresh(phone)
    assert_problem(Api(ana.url).post("/auth/login", {"email": ana.email, "password": PASSWORD}), 401)
    assert len(sessions(log_in(ana, NEW_PASSWORD))) == 2


def test_a_wrong_current_password_is_403(ana: User) -> None:
    phone = log_in(ana)
    problem = assert_problem(change(ana, "wrong horse battery", NEW_PASSWORD), 403)
    assert problem["type"].endswith("wrong-password")
    assert can_refresh(phone)


def test_the_same_password_again_is_422(ana: User) -> None:
    problem = assert_problem(change(ana, PASSWORD, PASSWORD), 422)
    assert [error["field"] for error in problem["errors"]] == ["newPassword"]


def test_a_session_that_was_ended_cannot_change_the_password(ana: User) -> None:
    phone = log_in(ana)
    assert change(phone, PASSWORD, NEW_PASSWORD).status_code == 204
    assert_problem(change(ana, NEW_PASSWORD, PASSWORD), 401)


def test_of_changes_at_once_one_wins(ana: User) -> None:
    devices = [ana, *(log_in(ana) for _ in range(4))]
    with ThreadPoolExecutor(len(devices)) as pool:
        answers = list(pool.map(lambda number: change(devices[number], PASSWORD, f"{NEW_PASSWORD}-{number}"), range(5)))
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [204, 401, 401, 401, 401]
    winner = statuses.index(204)
    assert [session["current"] for session in sessions(devices[winner])] == [True]
    assert log_in(ana, f"{NEW_PASSWORD}-{winner}").token


def test_logins_beside_a_change_of_the_password_leave_no_session_of_the_old_one(ana: User) -> None:
    def log_in_at_once(_number: int) -> str | None:
        answer = Api(ana.url).post("/auth/login", {"email": ana.email, "password": PASSWORD})
        return answer.json()["refreshToken"] if answer.status_code == 200 else None

    with ThreadPoolExecutor(12) as pool:
        logins = pool.map(log_in_at_once, range(4))
        changed = pool.submit(change, ana, PASSWORD, NEW_PASSWORD)
        started = [token for token in logins if token]
    assert changed.result().status_code == 204
    for token in started:
        assert_problem(ana.post("/auth/refresh", {"refreshToken": token}), 401)
    assert [session["current"] for session in sessions(ana)] == [True]
