"""Transactions: committed once, retried after conflicts, reconnected once."""

import socket
import traceback

import psycopg2
import pytest

from accounts import database as module
from accounts.connection import Cursor
from accounts.database import Database
from core.errors import Conflict, ServiceUnavailable
from core.waiting import Patience


def backend(database: Database) -> int:
    def pid(cursor: Cursor) -> int:
        cursor.execute("SELECT pg_backend_pid()")
        row = cursor.fetchone()
        assert row is not None
        return int(row[0])

    return database.run(pid)


def value(database: Database, statement: str) -> object:
    def fetch(cursor: Cursor) -> object:
        cursor.execute(statement)
        row = cursor.fetchone()
        assert row is not None
        return row[0]

    return database.run(fetch)


@pytest.fixture
def counter(server, database_name) -> None:
    """The table ``counter`` with one row, whose column ``n`` is 0."""
    server.execute("DROP TABLE IF EXISTS counter", database=database_name)
    server.execute("CREATE TABLE counter AS SELECT 0 AS n", database=database_name)


@pytest.mark.usefixtures("counter")
def test_work_is_committed_and_its_result_returned(open_database):
    def increment(cursor: Cursor) -> str:
        cursor.execute("UPDATE counter SET n = n + 1")
        return "done"

    assert open_database().run(increment) == "done"
    assert value(open_database(), "SELECT n FROM counter") == 1


@pytest.mark.usefixtures("counter")
def test_an_exception_of_the_work_rolls_back_and_keeps_the_connection(open_database):
    database = open_database()
    before = backend(database)

    def refuse(cursor: Cursor) -> None:
        cursor.execute("UPDATE counter SET n = 99")
        raise Conflict("no")

    with pytest.raises(Conflict):
        database.run(refuse)
    assert value(database, "SELECT n FROM counter") == 0
    assert backend(database) == before


def test_the_connection_is_reused(open_database):
    database = open_database()
    assert backend(database) == backend(database)


def test_a_mistake_in_the_sql_is_raised_as_it_is(open_database):
    database = open_database()
    with pytest.raises(psycopg2.errors.UndefinedTable):
        value(database, "SELECT 1 FROM no_such_table")
    assert value(database, "SELECT 1") == 1


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_a_conflict_is_tried_again(open_database, code):
    attempts = []

    def collide_twice(cursor: Cursor) -> int:
        attempts.append(1)
        if len(attempts) < 3:
            cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")
        return len(attempts)

    assert open_database().run(collide_twice) == 3


@pytest.mark.usefixtures("counter")
def test_a_real_serialization_failure_is_tried_again_and_no_update_is_lost(open_database):
    other, attempts = open_database(), []

    def increment(cursor: Cursor) -> None:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT n FROM counter")
        attempts.append(1)
        if len(attempts) == 1:
            other.run(lambda theirs: theirs.execute("UPDATE counter SET n = n + 10"))
        cursor.execute("UPDATE counter SET n = n + 1")

    open_database().run(increment)
    assert len(attempts) == 2
    assert value(other, "SELECT n FROM counter") == 11


@pytest.mark.usefixtures("counter")
def test_a_conflict_that_shows_only_at_commit_is_tried_again(open_database, server, database_name):
    server.execute(
        "CREATE FUNCTION fail_late() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF NEW.n = 1 THEN RAISE EXCEPTION USING ERRCODE = '40001'; END IF; RETURN NEW; END $$",
        database=database_name,
    )
    server.execute(
        "CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON counter DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION fail_late()",
        database=database_name,
    )
    attempts = []

    def write(cursor: Cursor) -> None:
        attempts.append(1)
        cursor.execute("UPDATE counter SET n = %s", (len(attempts),))

    database = open_database()
    database.run(write)
    assert value(database, "SELECT n FROM counter") == 2


def test_conflicts_without_end_are_unavailable(open_database, monkeypatch):
    monkeypatch.setattr(module.random, "uniform", lambda low, high: low)
    attempts = []

    def collide(cursor: Cursor) -> None:
        attempts.append(1)
        cursor.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")

    with pytest.raises(ServiceUnavailable):
        open_database().run(collide)
    assert 1 < len(attempts) < 20


def test_conflicts_are_not_retried_beyond_the_budget(open_database, monkeypatch):
    monkeypatch.setattr(module.random, "uniform", lambda low, high: 60.0)
    with pytest.raises(ServiceUnavailable):
        open_database().run(
            lambda cursor: cursor.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")
        )


def test_a_connection_that_has_gone_is_replaced_without_the_caller_noticing(open_database, server):
    database = open_database()
    before = backend(database)
    server.execute("SELECT pg_terminate_backend(%s, 5000)", before)
    assert backend(database) != before


@pytest.mark.usefixtures("counter")
def test_a_connection_that_goes_in_mid_transaction_is_replaced_and_the_work_done_once(open_database, server):
    database, pids = open_database(), []

    def work(cursor: Cursor) -> None:
        cursor.execute("UPDATE counter SET n = n + 1")
        cursor.execute("SELECT pg_backend_pid()")
        pids.append(cursor.fetchone())
        if len(pids) == 1:
            server.execute("SELECT pg_terminate_backend(%s, 5000)", pids[0])
        cursor.execute("SELECT 1")

    database.run(work)
    assert len(pids) == 2
    assert value(database, "SELECT n FROM counter") == 1


def test_it_reconnects_once_only(open_database, server):
    attempts = []

    def doomed(cursor: Cursor) -> None:
        cursor.execute("SELECT pg_backend_pid()")
        attempts.append(1)
        server.execute("SELECT pg_terminate_backend(%s, 5000)", cursor.fetchone())
        cursor.execute("SELECT 1")

    with pytest.raises(ServiceUnavailable):
        open_database().run(doomed)
    assert len(attempts) == 2


@pytest.mark.usefixtures("counter")
def test_a_connection_lost_during_commit_is_not_tried_again(open_database, server):
    database, attempts = open_database(), []

    def work(cursor: Cursor) -> None:
        attempts.append(1)
        cursor.execute("UPDATE counter SET n = n + 1")
        cursor.execute("SELECT pg_backend_pid()")
        server.execute("SELECT pg_terminate_backend(%s, 5000)", cursor.fetchone())

    with pytest.raises(ServiceUnavailable):
        database.run(work)
    assert len(attempts) == 1
    assert value(database, "SELECT n FROM counter") == 0


def test_a_writer_that_became_a_reader_is_left_for_a_new_connection(open_database):
    database = open_database()
    before = backend(database)
    database.run(lambda cursor: cursor.execute("SET default_transaction_read_only = on"))
    database.run(lambda cursor: cursor.execute("CREATE TABLE written_after_failover (n integer)"))
    assert backend(database) != before


@pytest.mark.usefixtures("counter")
def test_a_lock_that_is_not_released_is_unavailable_and_the_connection_kept(open_database):
    holder, database = open_database(), open_database(seconds=0.3)
    before = backend(database)

    def hold(cursor: Cursor) -> None:
        cursor.execute("UPDATE counter SET n = 1")
        budget = Patience(20)
        with pytest.raises(ServiceUnavailable) as refused:
            database.run(lambda waiting: waiting.execute("UPDATE counter SET n = 2"), budget=budget)
        assert refused.value.headers["Retry-After"] == "5"

    holder.run(hold)
    assert backend(database) == before
    assert value(database, "SELECT n FROM counter") == 1


def test_a_statement_without_end_is_given_up_by_the_server(open_database):
    database = open_database(seconds=0.2)
    before = backend(database)
    with pytest.raises(ServiceUnavailable):
        database.run(lambda cursor: cursor.execute("SELECT pg_sleep(60)"), budget=Patience(20))
    assert backend(database) == before


def test_a_statement_without_end_is_given_up_by_us_when_the_server_does_not(open_database):
    database = open_database(seconds=0.3)
    before = backend(database)

    def hang(cursor: Cursor) -> None:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SELECT pg_sleep(60)")

    with pytest.raises(ServiceUnavailable):
        database.run(hang)
    # Its state was not known.
    assert backend(database) != before


def test_the_budget_is_shared_by_the_transactions_of_a_call(open_database):
    database, budget = open_database(), Patience(0.3)
    with pytest.raises(ServiceUnavailable):
        database.run(lambda cursor: cursor.execute("SELECT pg_sleep(60)"), budget=budget)
    with pytest.raises(ServiceUnavailable):
        database.run(lambda cursor: cursor.execute("SELECT 1"), budget=budget)
    assert value(database, "SELECT 1") == 1


def test_a_server_without_timeouts_is_used_without_them(open_database, server):
    name = server.new_database()
    server.execute(
        "CREATE FUNCTION public.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION USING ERRCODE = '0A000'; END $$",
        database=name,
    )
    server.execute(f"ALTER DATABASE {name} SET search_path = public, pg_catalog")
    assert value(open_database(name), "SHOW statement_timeout") == "0"


def test_the_server_is_told_who_connects_and_how_long_to_try(open_database):
    database = open_database(seconds=3.0)
    assert value(database, "SHOW application_name") == "llm-microservices"
    assert value(database, "SHOW statement_timeout") == "3s"
    assert value(database, "SHOW lock_timeout") == "2s"


def test_a_host_is_tried_at_each_of_its_addresses(open_database, make_secret, database_name, tcp_relay, monkeypatch):
    # The relay listens on the second one only.
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 0)) for ip in ("127.0.0.2", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: addresses)
    with tcp_relay() as port:
        secret = make_secret(f"host=database.test port={port} user=postgres dbname={database_name} sslmode=disable")
        database = open_database(secret=secret)
        assert value(database, "SELECT 1") == 1
        database.close()


def test_a_rotated_password_is_read_again(open_database, server, make_secret):
    server.require_password("rotating", "new-password")
    secret = make_secret(
        server.url(user="rotating", password="old-password"), server.url(user="rotating", password="new-password")
    )
    database = open_database(secret=secret)
    assert value(database, "SELECT current_user") == "rotating"
    assert secret.rereads == 1


def test_a_wrong_password_is_unavailable_and_shown_to_nobody(open_database, server, make_secret, caplog):
    server.require_password("locked_out", "right-password")
    secret = make_secret(
        server.url(user="locked_out", password="first-s3cret"), server.url(user="locked_out", password="second-s3cret")
    )
    with pytest.raises(ServiceUnavailable) as refused:
        open_database(secret=secret).run(lambda cursor: None)
    shown = "".join(traceback.format_exception(refused.value)) + refused.value.detail + caplog.text
    assert "s3cret" not in shown
    assert secret.rereads == 1


def test_the_database_of_the_environment_is_one(monkeypatch):
    monkeypatch.setenv("DATABASE_SECRET_ARN", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:database")
    module.from_env.cache_clear()
    assert module.from_env() is module.from_env()
    module.from_env.cache_clear()
