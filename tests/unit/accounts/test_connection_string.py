"""The forms in which the database secret is kept."""

import json
import traceback

import pytest

from accounts.connection_string import connection_parameters
from core.settings import SettingsError

RDS = {"engine": "postgres", "username": "app", "password": "p:w@d/ é", "host": "db.example.com", "port": 5432}


def test_a_url_is_read():
    assert connection_parameters("postgresql://app:p%40ss@db.example.com:6000/main?sslmode=verify-full\n") == {
        "user": "app",
        "password": "p@ss",
        "host": "db.example.com",
        "port": "6000",
        "dbname": "main",
        "sslmode": "verify-full",
    }


def test_key_value_pairs_are_read():
    parameters = connection_parameters("host=/var/run user=app password='with space' dbname=main")
    assert parameters == {"host": "/var/run", "user": "app", "password": "with space", "dbname": "main"}


def test_the_json_of_rds_is_read():
    assert connection_parameters(json.dumps({**RDS, "dbname": "main", "sslmode": "verify-ca"})) == {
        "user": "app",
        "password": "p:w@d/ é",
        "host": "db.example.com",
        "port": "5432",
        "dbname": "main",
        "sslmode": "verify-ca",
    }


def test_the_json_may_call_the_database_database_and_write_the_port_as_text():
    parameters = connection_parameters(json.dumps({**RDS, "database": "main", "port": "5433"}))
    assert (parameters["dbname"], parameters["port"]) == ("main", "5433")


def test_the_database_is_postgres_unless_named():
    assert connection_parameters(json.dumps(RDS))["dbname"] == "postgres"
    assert connection_parameters("postgresql://app@db.example.com")["dbname"] == "postgres"


@pytest.mark.parametrize("host", ["db.example.com", "10.0.0.5", "localhost,db.example.com", "1270.example.com"])
def test_tls_is_required_of_a_server_elsewhere(host):
    assert connection_parameters(f"host={host} user=app")["sslmode"] == "require"


@pytest.mark.parametrize("host", ["", "localhost", "127.0.0.1", "::1", "/var/run/postgresql", "@abstract"])
def test_tls_is_not_required_on_this_machine(host):
    assert "sslmode" not in connection_parameters(f"host='{host}' user=app")


def test_an_empty_password_is_none():
    assert "password" not in connection_parameters("postgresql://postgres:@/postgres?host=/tmp/socket")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "postgresql://app:s3cret@[broken",
        "password=s3cret nonsense",
        '{"username": "app", "password": "s3cret"',
        '{"username": "app", "password": "s3cret"}',
        '{"username": "app", "password": ["s3cret"], "host": "db.example.com"}',
        "s3cret",
    ],
)
def test_anything_else_is_refused_and_not_shown(text):
    with pytest.raises(SettingsError) as refused:
        connection_parameters(text)
    assert "s3cret" not in "".join(traceback.format_exception(refused.value, chain=True))
