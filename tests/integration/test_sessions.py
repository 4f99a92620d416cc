"""Refresh tokens and logout, over HTTP."""

from concurrent.futures import ThreadPoolExecutor

from tests.integration.client import PASSWORD, Api, User, assert_problem


def test_a_refresh_token_is_exchanged_for_a_new_pair(ana: User) -> None:
    answer = ana.post("/auth/refresh", {"refreshToken": ana.refresh_token})
    assert answer.status_code == 200
    assert set(answer.json()) == {"accessToken", "refreshToken", "tokenType", "expiresIn"}
    assert answer.json()["refreshToken"] != ana.refresh_token
    assert Api(ana.url, answer.json()["accessToken"]).get("/users/me").json()["id"] == ana.id


def test_refreshes_at_once_end_in_one_session_that_lives(ana: User) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: Api(ana.url).post("/auth/refresh", {"refreshToken": ana.refresh_token}), range(20))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refreshToken"] for answer in answers}) == 1
    survivor = answers[0].json()["refreshToken"]
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
        Api(ana.url).post("/auth/login", {"email": email, "password": "wrong password"})
        for email in (ana.email, "nobody@example.com")
    ]
    problems = [assert_problem(answer, 401) | {"requestId": ""} for answer in answers]
    assert problems[0] == problems[1]


def test_registrations_at_once_of_one_address_make_one_account(api: Api) -> None:
    body = {"email": "race@example.com", "password": PASSWORD}
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(lambda _: Api(api.url).post("/auth/register", body).status_code, range(16)))
    assert statuses == [201] + [409] * 15
