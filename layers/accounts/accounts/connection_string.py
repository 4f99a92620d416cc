"""The database secret's text, as the connection parameters of libpq."""

import json
from collections.abc import Mapping

import psycopg2
from psycopg2.extensions import parse_dsn

from core.settings import SettingsError

_FORMS = (
    "the database secret is neither a connection string of libpq (postgresql://… or key=value)"
    " nor the JSON of Amazon RDS with username, password and host"
)
# Their names in the JSON that Amazon RDS keeps, and in libpq. The later name wins.
_RDS_NAMES = {
    "username": "user",
    "password": "password",
    "host": "host",
    "port": "port",
    "database": "dbname",
    "dbname": "dbname",
    "sslmode": "sslmode",
}


def connection_parameters(secret: str) -> dict[str, str]:
    """Parse the text of the secret into parameters that ``psycopg2.connect`` takes.

    The text is a libpq URL or ``key=value`` string, or the JSON object that Amazon RDS keeps. TLS is required of a
    server elsewhere unless the text has an ``sslmode`` of its own. Raises ``SettingsError``, without the text.
    """
    text = secret.strip()
    parameters = _from_json(text) if text.startswith("{") else _from_libpq(text)
    # The one database that every server has, and the only one of Aurora DSQL.
    parameters.setdefault("dbname", "postgres")
    if "sslmode" not in parameters and not _is_local(parameters):
        parameters["sslmode"] = "require"
    return parameters


def _from_json(text: str) -> dict[str, str]:
    try:
        fields = json.loads(text)
    except ValueError:
        raise SettingsError(_FORMS) from None
    parameters = {
        ours: str(fields[theirs]) for theirs, ours in _RDS_NAMES.items() if isinstance(fields.get(theirs), str | int)
    }
    if not {"user", "password", "host"} <= parameters.keys():
        raise SettingsError(_FORMS)
    return parameters


def _from_libpq(text: str) -> dict[str, str]:
    try:
        parameters = parse_dsn(text)
    except psycopg2.ProgrammingError:
        raise SettingsError(_FORMS) from None
    if not parameters:
        raise SettingsError(_FORMS)
    # To libpq an empty value is an absent one.
    return {name: str(value) for name, value in parameters.items() if value != ""}


def _is_local(parameters: Mapping[str, str]) -> bool:
    hosts = (parameters.get("hostaddr") or parameters.get("host") or "").split(",")
    return all(host in ("", "localhost", "::1") or host.startswith(("/", "@", "127.")) for host in hosts)
