"""One connection to PostgreSQL whose every wait ends when the caller's patience does.

libpq's own limits are not enough: ``connect_timeout`` counts for each address anew, ``statement_timeout`` is kept by a
server that may be the one that hangs, and a socket may stay silent for hours. So psycopg2 waits here, in ``poll``,
for whatever it does: connecting, TLS, a query, a commit.
"""

import select
import socket
from collections.abc import Mapping
from functools import partial
from typing import TypeAlias

import psycopg2
from psycopg2 import errors, extensions

from core.waiting import Patience, within

Cursor: TypeAlias = extensions.cursor

_EVENTS = {extensions.POLL_READ: select.POLLIN, extensions.POLL_WRITE: select.POLLOUT}
# What the secret says goes before these.
_DEFAULTS = {
    "client_encoding": "UTF8",
    # Skips a round trip that only Kerberos sites need.
    "gssencmode": "disable",
    "keepalives_idle": "10",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    # Milliseconds until a peer that is gone without a word is noticed: early enough to connect again in time.
    "tcp_user_timeout": "1000",
}


class Connection(extensions.connection):
    """A psycopg2 connection. ``patience`` is what its waits take from; set it before each transaction."""

    def __init__(self, dsn: str, patience: Patience) -> None:
        # Before the first byte is sent: connecting waits, too.
        self.patience = patience
        super().__init__(dsn)


def connect(
    parameters: Mapping[str, str], *, patience: Patience, statement_seconds: float, application_name: str
) -> Connection:
    """Open a connection, or raise ``psycopg2.OperationalError`` or ``core.waiting.DeadlinePassed``.

    ``statement_seconds`` is after how long the server gives up a statement and its wait for a lock, so that what we no
    longer wait for does not go on there.
    """
    # For the whole process: psycopg2 has no wait callback per connection.
    extensions.set_wait_callback(_wait)
    wanted = {"application_name": application_name, **_DEFAULTS, **parameters}
    wanted |= _addresses(wanted, patience)
    connection = Connection(extensions.make_dsn(**wanted), patience)
    _limit_statements(connection, milliseconds=int(statement_seconds * 1000))
    return connection


def _wait(connection: extensions.connection) -> None:
    """Wait until psycopg2 can go on; an exception from here makes it close the connection, whose state is unknown."""
    while (state := connection.poll()) != extensions.POLL_OK:
        poll = select.poll()
        poll.register(connection.fileno(), _EVENTS[state])
        if isinstance(connection, Connection):
            connection.patience.wait(partial(_is_ready, poll))
        else:
            poll.poll()


def _is_ready(poll: select.poll, seconds: float) -> bool:
    return bool(poll.poll(seconds * 1000))


def _limit_statements(connection: Connection, *, milliseconds: int) -> None:
    limits = {"statement": str(milliseconds), "lock": str(milliseconds * 2 // 3)}
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            # Not among the options of the connection, which RDS Proxy refuses.
            cursor.execute(
                "SELECT set_config('statement_timeout', %(statement)s, false),"
                " set_config('lock_timeout', %(lock)s, false)",
                limits,
            )
    except errors.FeatureNotSupported:
        # Aurora DSQL lets nobody set them; there, no transaction waits for another's lock.
        pass
    connection.autocommit = False


def _addresses(parameters: Mapping[str, str], patience: Patience) -> dict[str, str]:
    """The addresses of the host, found in time: libpq would wait for the resolver without end.

    ``host`` stays, repeated for each address, since TLS checks the certificate against it. A socket's path, a list of
    hosts and a given ``hostaddr`` are left to libpq, which has nothing to look up or was told what to do.
    """
    host = parameters.get("host", "")
    if not host or host.startswith(("/", "@")) or "," in host or "hostaddr" in parameters:
        return {}

    def resolve() -> list[str]:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            return []
        return list(dict.fromkeys(str(address[0]) for *_, address in answers))

    found = within(patience, resolve)
    if not found:
        raise psycopg2.OperationalError("the name of the database's host cannot be resolved")
    return {"host": ",".join([host] * len(found)), "hostaddr": ",".join(found)}
