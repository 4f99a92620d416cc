"""Transactions on the one database connection of an execution environment.

Whatever becomes of PostgreSQL, the caller has its answer or ``ServiceUnavailable`` within a budget of seconds.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from accounts.connection import Connection, Cursor, DeadlinePassed, connect
from accounts.connection_string import connection_parameters
from core import settings
from core.errors import ServiceUnavailable
from core.secrets import Secret, SecretText

# A call answers 503 within 4 seconds: the rest is for a cold start and for bcrypt.
BUDGET_SECONDS = 2.5
# What reading the secret once more may cost; with less left it is not tried.
_REREAD_SECONDS = 1.5
_MOST_CONFLICTS = 8
_RETRY_AFTER_SECONDS = 5

# Of PostgreSQL's appendix A. The transaction was rolled back, doing it again may succeed: serialization_failure (the
# only way in which Aurora DSQL reports a conflict), deadlock_detected.
_CONFLICT = frozenset({"40001", "40P01"})
# The session is over, or is of no more use: admin_shutdown, crash_shutdown, idle_in_transaction_session_timeout,
# idle_session_timeout, and read_only_sql_transaction, which a writer answers that became a reader in a failover.
_SESSION_OVER = frozenset({"57P01", "57P02", "25P03", "57P05", "25006"})
# The server lives and cannot serve: query_canceled (statement_timeout), lock_not_available (lock_timeout).
_OVERLOADED = frozenset({"57014", "55P03"})
_OVERLOADED_CLASSES = ("53",)

ResultT = TypeVar("ResultT")


class Budget:
    """Seconds that one call of the API may wait for the database, over all of its transactions.

    Work between the transactions (bcrypt) is not counted, so it cannot eat up the database's share.
    """

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    @contextmanager
    def deadline(self) -> Iterator[float]:
        """The moment of ``time.monotonic`` at which the budget is spent; the time until the exit is taken off."""
        started = time.monotonic()
        try:
            yield started + self.left
        finally:
            self.left = max(0.0, self.left - (time.monotonic() - started))


class _Lost(Exception):
    """The connection was gone before COMMIT was sent: nothing has happened."""


class _Conflict(Exception):
    """The server rolled the transaction back, and it may be tried again."""


class Database:
    """One connection, opened at its first use and kept. Not for two threads at once.

    ``seconds`` is the budget of a call, and after how long the server gives up a statement.
    """

    def __init__(
        self, secret: SecretText, *, seconds: float = BUDGET_SECONDS, application_name: str = "llm-microservices"
    ) -> None:
        self._secret = secret
        self._seconds = seconds
        self._application_name = application_name
        self._connection: Connection | None = None

    def budget(self) -> Budget:
        """A fresh budget, for a call that needs several transactions."""
        return Budget(self._seconds)

    def run(self, work: Callable[[Cursor], ResultT], *, budget: Budget | None = None) -> ResultT:
        """Do the work in one transaction and return what it returns.

        ``work`` may be called several times, each time in a new transaction: after a conflict (SQLSTATE 40001), and
        once when the connection turns out to be gone. An exception from it rolls the transaction back and travels on.
        A connection that is lost during COMMIT is not tried again, since the outcome is not known.
        Raises ``ServiceUnavailable`` when the database is down or the budget is spent.
        """
        with (budget or self.budget()).deadline() as deadline:
            return self._run(work, deadline)

    def close(self) -> None:
        """Close the connection; the next transaction opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _run(self, work: Callable[[Cursor], ResultT], deadline: float) -> ResultT:
        conflicts = 0
        reconnected = False
        while True:
            try:
                return self._transaction(work, deadline)
            except _Lost as error:
                if reconnected:
                    raise _unavailable() from error
                reconnected = True
            except _Conflict as error:
                conflicts += 1
                # Jitter, so that those who collided do not collide again.
                pause = random.uniform(0, 0.01 * 2**conflicts)  # noqa: S311 - not a secret
                if conflicts > _MOST_CONFLICTS or time.monotonic() + pause >= deadline:
                    raise _unavailable() from error
                time.sleep(pause)

    def _transaction(self, work: Callable[[Cursor], ResultT], deadline: float) -> ResultT:
        connection = self._open(deadline)
        committing = False
        try:
            with connection.cursor() as sql:
                result = work(sql)
            committing = True
            connection.commit()
            return result
        except DeadlinePassed as error:
            raise _unavailable() from error
        except psycopg2.Error as error:
            meaning = _meaning(error, connection, committing)
            if meaning is None:
                raise
            raise meaning from error
        finally:
            self._keep_if_clean(connection)

    def _open(self, deadline: float) -> Connection:
        if self._connection is None:
            self._connection = self._connect(deadline)
        self._connection.deadline = deadline
        return self._connection

    def _connect(self, deadline: float) -> Connection:
        text = self._secret.text()
        try:
            return self._connect_with(text, deadline)
        except DeadlinePassed as error:
            raise _unavailable() from error
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            # psycopg2 gives no SQLSTATE here, and messages are translated: any refusal may be a rotated password.
            if deadline - time.monotonic() < _REREAD_SECONDS or self._secret.reread() == text:
                raise _unavailable() from error
        try:
            return self._connect_with(self._secret.text(), deadline)
        except (DeadlinePassed, psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            raise _unavailable() from error

    def _connect_with(self, text: str, deadline: float) -> Connection:
        return connect(
            connection_parameters(text),
            deadline=deadline,
            statement_seconds=self._seconds,
            application_name=self._application_name,
        )

    def _keep_if_clean(self, connection: Connection) -> None:
        """End what is left of a transaction; close a connection of which it is not known whether it ended."""
        try:
            connection.rollback()
            clean = connection.get_transaction_status() == TRANSACTION_STATUS_IDLE
        except (psycopg2.Error, DeadlinePassed):
            clean = False
        if not clean:
            self.close()


@lru_cache
def from_env(seconds: float = BUDGET_SECONDS) -> Database:
    """The database that this execution environment talks to. Raises ``core.settings.SettingsError``."""
    return Database(
        Secret(settings.text(os.environ, "DATABASE_SECRET_ARN")),
        seconds=seconds,
        application_name=settings.text(os.environ, "AWS_LAMBDA_FUNCTION_NAME", "llm-microservices"),
    )


def _meaning(error: psycopg2.Error, connection: Connection, committing: bool) -> Exception | None:
    """What an error of PostgreSQL means to the caller of a transaction; nothing when it is a mistake of ours."""
    code = error.pgcode or ""
    if code in _CONFLICT:
        return _Conflict()
    if connection.closed or code in _SESSION_OVER:
        connection.close()
        return _unavailable() if committing else _Lost()
    if code in _OVERLOADED or code.startswith(_OVERLOADED_CLASSES):
        return _unavailable()
    return None


def _unavailable() -> ServiceUnavailable:
    return ServiceUnavailable(
        "The accounts service cannot reach its database; try again in a moment.", retry_after=_RETRY_AFTER_SECONDS
    )
