"""Migrations: forward, once, from several places at once."""

import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import psycopg2
import pytest

from accounts.migrate import Migration, MigrationError, bundled, migrate
from core.errors import ServiceUnavailable

NAMES = ["0001_create_users.sql", "0002_create_sessions.sql", "0003_create_login_failures.sql"]


def test_an_empty_database_gets_the_schema(open_database, server):
    name = server.new_database()
    assert migrate(open_database(name)) == NAMES
    tables = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database=name)
    assert {table for (table,) in tables} == {"users", "sessions", "login_failures", "schema_migrations"}


def test_a_second_run_applies_nothing(open_database, server):
    name = server.new_database()
    migrate(open_database(name))
    assert migrate(open_database(name)) == []
    noted = server.execute("SELECT version, name FROM schema_migrations ORDER BY version", database=name)
    assert noted == list(enumerate(NAMES, start=1))


@pytest.mark.parametrize("places", [2, 3, 8])
def test_runs_at_once_apply_each_migration_once(open_database, server, places):
    name = server.new_database()
    databases = [open_database(name) for _ in range(places)]
    together = threading.Barrier(places)

    def run(place: int) -> list[str]:
        together.wait()
        return migrate(databases[place])

    with ThreadPoolExecutor(places) as pool:
        applied = list(pool.map(run, range(places)))
    assert sorted(chain.from_iterable(applied)) == NAMES
    assert server.execute("SELECT count(*) FROM schema_migrations", database=name) == [(len(NAMES),)]


def test_a_run_that_died_between_a_migration_and_its_note_is_finished_by_the_next(open_database, server):
    name = server.new_database()
    migrate(open_database(name))
    server.execute("DELETE FROM schema_migrations WHERE version = 2", database=name)
    assert migrate(open_database(name)) == [NAMES[1]]


def test_only_what_is_new_is_applied(open_database, server):
    name = server.new_database()
    migrate(open_database(name))
    later = Migration("0010_create_notes.sql", "CREATE TABLE IF NOT EXISTS notes (id uuid PRIMARY KEY)")
    assert migrate(open_database(name), [*bundled(), later]) == ["0010_create_notes.sql"]


def test_an_edited_migration_is_refused_before_anything_is_done(open_database, server):
    name = server.new_database()
    migrate(open_database(name))
    edited = Migration(NAMES[1], "DROP TABLE users")
    with pytest.raises(MigrationError, match=r"0002_create_sessions\.sql was changed after it had been applied"):
        migrate(open_database(name), [bundled()[0], edited])
    assert server.execute("SELECT count(*) FROM users", database=name) == [(0,)]


def test_an_older_release_leaves_a_newer_schema_alone(open_database, server):
    name = server.new_database()
    migrate(open_database(name))
    assert migrate(open_database(name), bundled()[:1]) == []


def test_a_mistake_in_a_migration_is_raised_and_not_noted(open_database, server):
    name = server.new_database()
    wrong = Migration("0001_wrong.sql", "CREATE TABLE IF NOT EXISTS wrong (id no_such_type)")
    with pytest.raises(psycopg2.errors.UndefinedObject):
        migrate(open_database(name), [wrong])
    assert server.execute("SELECT count(*) FROM schema_migrations", database=name) == [(0,)]


def test_a_collision_that_never_ends_is_raised(open_database, server, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    name = server.new_database()
    endless = Migration("0001_endless.sql", "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '42P07'; END $$")
    with pytest.raises(psycopg2.errors.DuplicateTable):
        migrate(open_database(name), [endless])


def test_a_database_that_is_down_is_unavailable(open_database, make_secret):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ServiceUnavailable):
        migrate(open_database(secret=make_secret(f"host=127.0.0.1 port={port} user=x")))


@pytest.mark.parametrize("migration", bundled(), ids=lambda migration: migration.name)
def test_a_migration_is_what_aurora_dsql_takes(migration):
    statement = re.sub(r"--.*", "", migration.sql).strip().rstrip(";")
    assert ";" not in statement, "one statement per migration"
    assert re.search(r"IF (NOT )?EXISTS", statement), "harmless when it runs again"
    assert not re.search(r"\b(REFERENCES|SERIAL|SEQUENCE|TRIGGER|IDENTITY)\b", statement, re.IGNORECASE)
    assert not re.search(r"CREATE (UNIQUE )?INDEX (?!ASYNC)", statement, re.IGNORECASE)


def test_versions_are_in_order_and_without_duplicates():
    versions = [migration.version for migration in bundled()]
    assert versions == list(range(1, len(versions) + 1))
