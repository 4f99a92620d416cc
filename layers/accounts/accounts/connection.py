"""One connection to PostgreSQL whose every wait ends at a deadline.

libpq's own limits are not enough: ``connect_timeout`` counts for each address anew, ``statement_timeout`` is kept by a
server that may be the one that hangs, and a socket may stay silent for hours. So psycopg2 waits here, in ``poll``,
for whatever it does: connecting, TLS, a query, a commit.
"""

import select
import socket
import threading
import time
from collections.abc import Mapping
from typing import TypeAlias

import psycopg2
from psycopg2 import errors, extensions

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


class DeadlinePassed(Exception):
    """The database did not answer in time. psycopg2 has closed the connection: its state is unknown."""


class Connection(extensions.connection):
    """A psycopg2 connection. ``deadline`` is a moment of ``time.monotonic``; set it before each transaction."""

    def __init__(self, dsn: str, deadline: float) -> None:
        # Before the first byte is sent: connecting waits, too.
        self.deadline = deadline
        super().__init__(dsn)


def connect(
    parameters: Mapping[str, str], *, deadline: float, statement_seconds: float, application_name: str
) -> Connection:
    """Open a connection, or raise ``psycopg2.OperationalError`` or ``DeadlinePassed``.

    ``statement_seconds`` is after how long the server gives up a statement and its wait for a lock, so that what we no
    longer wait for does not go on there.
    """
    # For the whole process: psycopg2 has no wait callback per connection.
    extensions.set_wait_callback(_wait)
    wanted = {"application_name": application_name, **_DEFAULTS, **parameters}
    wanted |= _addresses(wanted, deadline)
    connection = Connection(extensions.make_dsn(**wanted), deadline)
    _limit_statements(connection, milliseconds=int(statement_seconds * 1000))
    return connection


def _wait(connection: extensions.connection) -> None:
    """Wait until psycopg2 can go on; an exception from here makes it close the connection."""
    deadline = connection.deadline if isinstance(connection, Connection) else None
    while (state := connection.poll()) != extensions.POLL_OK:
        poll = select.poll()
        poll.register(connection.fileno(), _EVENTS[state])
        if deadline is None:
            poll.poll()
        elif (left := deadline - time.monotonic()) <= 0 or not poll.poll(left * 1000):
            raise DeadlinePassed


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


def _addresses(parameters: Mapping[str, str], deadline: float) -> dict[str, str]:
    """The addresses of the host, found before the deadline: libpq would wait for the resolver without end.

    ``host`` stays, repeated for each address, since TLS checks the certificate against it. A socket's path, a list of
    hosts and a given ``hostaddr`` are left to libpq, which has nothing to look up or was told what to do.
    """
    host = parameters.get("host", "")
    if not host or host.startswith(("/", "@")) or "," in host or "hostaddr" in parameters:
        return {}
    found: list[str] = []

    def resolve() -> None:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            return
        found.extend(dict.fromkeys(str(address[0]) for *_, address in answers))

    # A thread, because getaddrinfo knows no timeout; a daemon, because it may outlive the request.
    resolver = threading.Thread(target=resolve, daemon=True)
    resolver.start()
    resolver.join(max(0.0, deadline - time.monotonic()))
    if resolver.is_alive():
        raise DeadlinePassed
    if not found:
        raise psycopg2.OperationalError("the name of the database's host cannot be resolved")
    return {"host": ",".join([host] * len(found)), "hostaddr": ",".join(found)}
