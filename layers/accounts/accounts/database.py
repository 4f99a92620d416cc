"""Transactions on the one database connection of an execution environment.

Whatever becomes of PostgreSQL, the caller has its answer or ``ServiceUnavailable`` after a budget of seconds, of which
only waiting for PostgreSQL takes: a crowded machine, a cold start, the secret and bcrypt do not.
"""

import os
import random
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from accounts.connection import Connection, Cursor, connect
from accounts.connection_string import connection_parameters
from core import settings
from core.errors import ServiceUnavailable
from core.logging import logger
from core.secrets import Secret, SecretText
from core.waiting import DeadlinePassed, Patience

# Far below the function's timeout, which a cold start, the secret and bcrypt need as well.
BUDGET_SECONDS = 2.5
# With less left the secret is not read once more: it would be of no use.
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

    def budget(self) -> Patience:
        """A fresh budget, for a call that needs several transactions."""
        return Patience(self._seconds)

    def run(self, work: Callable[[Cursor], ResultT], *, budget: Patience | None = None) -> ResultT:
        """Do the work in one transaction and return what it returns.

        ``work`` may be called several times, each time in a new transaction: after a conflict (SQLSTATE 40001), and
        once when the connection turns out to be gone. An exception from it rolls the transaction back and travels on.
        A connection that is lost during COMMIT is not tried again, since the outcome is not known.
        Raises ``ServiceUnavailable`` when the database is down or the budget is spent.
        """
        return self._run(work, self.budget() if budget is None else budget)

    def close(self) -> None:
        """Close the connection; the next transaction opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _run(self, work: Callable[[Cursor], ResultT], budget: Patience) -> ResultT:
        conflicts = 0
        reconnected = False
        while True:
            try:
                return self._transaction(work, budget)
            except _Lost as error:
                if reconnected:
                    raise _unavailable(error) from error
                reconnected = True
            except _Conflict as error:
                conflicts += 1
                # Jitter, so that those who collided do not collide again.
                pause = random.uniform(0, 0.01 * 2**conflicts)  # noqa: S311 - not a secret
                if conflicts > _MOST_CONFLICTS or pause >= budget.left:
                    raise _unavailable(error) from error
                budget.sleep(pause)

    def _transaction(self, work: Callable[[Cursor], ResultT], budget: Patience) -> ResultT:
        connection = self._open(budget)
        committing = False
        try:
            with connection.cursor() as sql:
                result = work(sql)
            committing = True
            connection.commit()
            return result
        except DeadlinePassed as error:
            raise _unavailable(error) from error
        except psycopg2.Error as error:
            meaning = _meaning(error, connection, committing)
            if meaning is None:
                raise
            raise meaning from error
        finally:
            self._keep_if_clean(connection)

    def _open(self, budget: Patience) -> Connection:
        """The connection, ready for a transaction. Raises ``ServiceUnavailable`` with a budget that is spent."""
        if budget.left <= 0:
            raise _unavailable(DeadlinePassed())
        if self._connection is None:
            self._connection = self._connect(budget)
        self._connection.patience = budget
        return self._connection

    def _connect(self, budget: Patience) -> Connection:
        # Not at the budget's cost: on a crowded machine, importing boto3 alone takes longer than the budget is.
        text = self._secret.text()
        try:
            return self._connect_with(text, budget)
        except DeadlinePassed as error:
            raise _unavailable(error) from error
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            # psycopg2 gives no SQLSTATE here, and messages are translated: any refusal may be a rotated password.
            if budget.left < _REREAD_SECONDS or self._secret.reread() == text:
                raise _unavailable(error) from error
        try:
            return self._connect_with(self._secret.text(), budget)
        except (DeadlinePassed, psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            raise _unavailable(error) from error

    def _connect_with(self, text: str, budget: Patience) -> Connection:
        return connect(
            connection_parameters(text),
            patience=budget,
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
        return _unavailable(error) if committing else _Lost()
    if code in _OVERLOADED or code.startswith(_OVERLOADED_CLASSES):
        return _unavailable(error)
    return None


def _unavailable(error: Exception) -> ServiceUnavailable:
    """What the caller gets; the operator gets the reason, which libpq words without the password."""
    reason = error.__cause__ if isinstance(error, _Lost | _Conflict) and error.__cause__ else error
    logger.warning(
        "the database is unavailable",
        error=type(reason).__name__,
        sqlstate=getattr(reason, "pgcode", None),
        detail=str(reason).partition("\n")[0],
    )
    return ServiceUnavailable(
        "The accounts service cannot reach its database; try again in a moment.", retry_after=_RETRY_AFTER_SECONDS
    )
