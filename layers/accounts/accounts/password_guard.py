"""Verifies passwords, of one account no faster than it may be guessed at, and does what the right one allows.

bcrypt never runs inside a transaction, so a password may be replaced while it is verified. What it allows is therefore
done in a transaction that begins with asking for the hash once more (``users.replace_hash``).
"""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar

from accounts import login_failures, passwords
from accounts.connection import Cursor
from accounts.database import Database
from accounts.passwords import Match
from accounts.users import Account
from core.errors import ProblemError, TooManyRequests
from core.logging import logger
from core.waiting import Patience

# How long an attempt waits for those before it: longer than bcrypt takes for dozens of devices, five at a time, and
# short enough for the rest to be done before the function's time is up.
PATIENCE_SECONDS = 6.0
_POLL_SECONDS = (0.05, 0.15)
_DELAYED = "Too many logins of this account have failed. Wait as long as Retry-After says, then try again."

ResultT = TypeVar("ResultT")


class Claim(NamedTuple):
    """Whose password is presented: the email it goes with, and the account and its hash where there is one."""

    email: str
    found: tuple[Account, str] | None

    @property
    def user_id(self) -> str:
        """The account's id, for the log."""
        return self.found[0].id if self.found else "unknown"


@dataclass(frozen=True, slots=True)
class PasswordGuard:
    """Verifies passwords at the cost of ``rounds``."""

    database: Database
    rounds: int
    clock: Callable[[], datetime]

    def check(
        self,
        password: str,
        look: Callable[[Cursor], Claim],
        allowed: Callable[[Account, str, Match], Callable[[Cursor], ResultT | None]],
        *,
        refusal: ProblemError,
    ) -> ResultT:
        """Verify the password of what ``look`` finds; return what the work of ``allowed`` returns.

        ``allowed`` is given the account, the hash that was verified and how the password belongs to it, outside of any
        transaction, and returns the work. Work that finds another hash than this one returns None, and all is asked
        again.
        Raises ``refusal`` for a wrong password, ``TooManyRequests`` while the account is delayed.
        """
        claim, budget = self._admitted(look)
        while True:
            stored = claim.found[1] if claim.found else None
            match = passwords.verify(password, stored, self.rounds)
            if match is None or claim.found is None:
                self._refused(claim, budget)
                raise refusal
            result = self._settled(claim, allowed(*claim.found, match), budget)
            if result is not None:
                return result
            claim = self.database.run(look, budget=budget)

    def _admitted(self, look: Callable[[Cursor], Claim]) -> tuple[Claim, Patience]:
        """What ``look`` finds, with a place to try a password; and what is left of the database's budget.

        When all places are taken, the attempts that have them are waited for. So many devices that log in at once with
        the right password are served in turn, and guesses at once end in the delay that the first of them begin.
        """

        def enter(cursor: Cursor) -> tuple[Claim, bool, datetime | None]:
            claim = look(cursor)
            account = login_failures.key(claim.email)
            entered = login_failures.take_place(cursor, account, now)
            return claim, entered, None if entered else login_failures.delayed_until(cursor, account)

        patience = time.monotonic() + PATIENCE_SECONDS
        while True:
            now = self.clock()
            # One for each round: looking whether there is a place, again and again, is waiting and no sign of trouble.
            budget = self.database.budget()
            claim, entered, until = self.database.run(enter, budget=budget)
            if entered:
                return claim, budget
            left = (until - self.clock()).total_seconds() if until else 0.0
            if left > 0 or time.monotonic() > patience:
                raise TooManyRequests(_DELAYED, slug="account-delayed", retry_after=max(1, math.ceil(left)))
            time.sleep(random.uniform(*_POLL_SECONDS))  # noqa: S311 - not a secret

    def _settled(self, claim: Claim, work: Callable[[Cursor], ResultT | None], budget: Patience) -> ResultT | None:
        def settle(cursor: Cursor) -> ResultT | None:
            result = work(cursor)
            login_failures.reset(cursor, login_failures.key(claim.email))
            return result

        return self.database.run(settle, budget=budget)

    def _refused(self, claim: Claim, budget: Patience) -> None:
        account, now = login_failures.key(claim.email), self.clock()
        delay = self.database.run(lambda cursor: login_failures.add_failure(cursor, account, now), budget=budget)
        logger.info("wrong password", security_event="wrong_password", user_id=claim.user_id)
        if delay:
            logger.warning(
                "logins of the account delayed",
                security_event="login_delayed",
                user_id=claim.user_id,
                delay_seconds=int(delay.total_seconds()),
            )
