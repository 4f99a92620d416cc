"""Make an account an admin, directly in the database, which must be within reach."""

from __future__ import annotations

import os
import subprocess

from localstack import environments
from localstack.console import CommandFailed, line
from localstack.settings import ROOT

from tools.operate.target import Target

NO_SUCH_ACCOUNT = 3
# Runs with the layers on its path, as a function does. Promoting needs neither a signing key nor a password.
SCRIPT = f"""
import sys
from accounts import database
from accounts.service import Accounts
from core.errors import NotFound

try:
    Accounts(database.from_env(), lambda: sys.exit(1), bcrypt_rounds=12).promote(sys.argv[1])
except NotFound:
    sys.exit({NO_SUCH_ACCOUNT})
"""


def promote(stack_now: Target, email: str) -> None:
    """Give the account the role `admin`.

    Raises CommandFailed when there is no such account, or no database.
    """
    layers = os.pathsep.join(str(ROOT / "layers" / name) for name in ("core", "accounts"))
    done = subprocess.run(
        [str(environments.development().python), "-c", SCRIPT, email.strip()],
        env=stack_now.environment
        | {
            "PYTHONPATH": layers,
            "PYTHONDONTWRITEBYTECODE": "1",
            "DATABASE_SECRET_ARN": stack_now.parameters["DatabaseSecretArn"],
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == NO_SUCH_ACCOUNT:
        raise CommandFailed("promote", f"no account has the address {email}", "register it, or check its spelling")
    if done.returncode != 0:
        raise CommandFailed("promote", (done.stderr.strip() or "unknown").splitlines()[-1], "look at `make status`")
    line("promoted", f"{email} is an admin from its next login or refresh on")
