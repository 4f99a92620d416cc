"""Whatever becomes of PostgreSQL, the answer is 503 in time, and all is well once it is back."""

import os
import signal
import socket
import time

import pytest

from accounts.connection import Cursor
from core.errors import ServiceUnavailable
from core.waiting import DeadlinePassed

SHORT = 0.4


def ping(cursor: Cursor) -> int:
    cursor.execute("SELECT 1")
    return 1


def test_a_stopped_server_is_unavailable_and_used_again_after_its_restart(open_database, server):
    connected, fresh = open_database(), open_database()
    connected.run(ping)
    with server.stopped():
        for database in (connected, fresh):
            with pytest.raises(ServiceUnavailable) as refused:
                database.run(ping)
            assert int(refused.value.headers["Retry-After"]) > 0
    assert connected.run(ping) == 1
    assert fresh.run(ping) == 1


def test_a_frozen_server_is_unavailable_to_old_and_new_connections(open_database, server):
    connected, fresh = open_database(seconds=SHORT), open_database(seconds=SHORT)
    connected.run(ping)
    with server.frozen():
        for database in (connected, fresh, connected):
            with pytest.raises(ServiceUnavailable):
                database.run(ping)
    # The budget that the first connection after the thaw needs is not what is tested here.
    assert open_database().run(ping) == 1


def test_a_server_that_freezes_in_commit_is_unavailable_and_not_tried_again(open_database):
    attempts = []

    def work(cursor: Cursor) -> None:
        cursor.execute("SELECT pg_backend_pid()")
        attempts.append(cursor.fetchone()[0])
        cursor.execute("CREATE TEMPORARY TABLE written (n integer)")
        os.kill(attempts[-1], signal.SIGSTOP)

    try:
        with pytest.raises(ServiceUnavailable):
            open_database(seconds=SHORT).run(work)
    finally:
        for pid in attempts:
            os.kill(pid, signal.SIGCONT)
    assert len(attempts) == 1


def test_a_port_where_nobody_listens_is_unavailable(open_database, make_secret):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ServiceUnavailable):
        open_database(secret=make_secret(f"host=127.0.0.1 port={port} user=x")).run(ping)


def test_a_port_that_never_answers_is_unavailable(open_database, make_secret):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        secret = make_secret(f"host=127.0.0.1 port={listener.getsockname()[1]} user=x")
        with pytest.raises(ServiceUnavailable):
            open_database(secret=secret, seconds=SHORT).run(ping)
    # It took so long to learn nothing that there was no time left to ask for another password.
    assert secret.rereads == 0


def test_a_new_secret_that_does_not_help_is_unavailable(open_database, make_secret):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = f"host=127.0.0.1 port={listener.getsockname()[1]} user=x"
        secret = make_secret("host=/nowhere user=x", silent)
        with pytest.raises(ServiceUnavailable):
            open_database(secret=secret, seconds=1.7).run(ping)
    assert secret.rereads == 1


def test_a_refusal_that_leaves_no_time_is_not_followed_by_another_look_at_the_secret(open_database, make_secret):
    secret = make_secret("host=/nowhere user=x")
    with pytest.raises(ServiceUnavailable):
        open_database(secret=secret, seconds=1.0).run(ping)
    assert secret.rereads == 0


def test_a_resolver_that_hangs_is_unavailable(open_database, make_secret, silent_resolver):
    with pytest.raises(ServiceUnavailable) as refused:
        open_database(secret=make_secret("host=database.test user=x"), seconds=0.1).run(ping)
    assert isinstance(refused.value.__cause__, DeadlinePassed)
    assert not silent_resolver.is_set()


@pytest.fixture
def lose_an_hour(monkeypatch):
    """Have this process not run for an hour, as it seems to who looks at the clock."""
    lost, monotonic = [0.0], time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + lost[0])

    def lose() -> None:
        lost[0] += 3600.0

    return lose


def test_a_slow_start_is_not_a_database_that_is_down(open_database, server, make_secret, lose_an_hour, monkeypatch):
    secret = make_secret(server.url())

    def slow() -> str:
        lose_an_hour()  # importing boto3, a client, its certificates
        return secret.texts[0]

    monkeypatch.setattr(secret, "text", slow)
    assert open_database(secret=secret).run(ping) == 1


def test_a_process_that_does_not_get_to_run_is_not_a_database_that_is_down(open_database, lose_an_hour):
    def work(cursor: Cursor) -> int:
        for _ in range(3):
            lose_an_hour()
            ping(cursor)
        return 3

    database = open_database()
    budget = database.budget()
    assert database.run(work, budget=budget) == 3
    lose_an_hour()
    assert database.run(ping, budget=budget) == 1


def test_the_operator_reads_why_and_the_caller_does_not(open_database, server, make_secret, log):
    name = server.new_database()
    server.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
    server.execute("CREATE ROLE crowded LOGIN PASSWORD 's3cret'")
    with pytest.raises(ServiceUnavailable) as refused:
        open_database(secret=make_secret(server.url(name, user="crowded", password="s3cret"))).run(ping)
    (line,) = log.of("the database is unavailable")
    assert "too many connections" in line["detail"]
    assert "too many connections" not in refused.value.detail
    assert "s3cret" not in log.getvalue()


def test_a_host_that_does_not_exist_is_unavailable(open_database, make_secret, monkeypatch):
    def unknown(*arguments: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ServiceUnavailable):
        open_database(secret=make_secret("host=database.test user=x")).run(ping)


def test_too_many_connections_are_unavailable(open_database, server, make_secret):
    name = server.new_database()
    server.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
    server.execute("CREATE ROLE plain LOGIN")
    from_plain = server.url(name, user="plain")
    with pytest.raises(ServiceUnavailable):
        open_database(secret=make_secret(from_plain)).run(ping)
