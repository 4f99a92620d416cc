"""What users need of the platform's parts: each tells what a part lacks; one that does not answer is an error.

All raise ``core.errors.ServiceUnavailable``. What they import is imported when they are asked.
"""

import json
import os
from pathlib import Path


def database() -> str | None:
    """PostgreSQL with all migrations."""
    from accounts import database, migrate

    missing = migrate.missing(database.from_env())
    return f"the database lacks {', '.join(missing)}" if missing else None


def signing_keys() -> str | None:
    """The private key that signs is there, and its public half among those that verify; nobody reads it for that."""
    from core.secrets import Secret

    public = {key["kid"] for key in json.loads(os.environ["JWKS"])["keys"]}
    if not public:
        return "the key set is empty"
    # A key's id is its version's.
    signing = Secret(os.environ["SIGNING_SECRET_ARN"]).current_version()
    return None if signing in public else "the key that signs is not among those that verify"


def storage() -> str | None:
    """The bucket of every service."""
    from generation.services import found
    from generation.storage import open_bucket

    for service in found(Path(__file__).parents[1]):
        open_bucket(os.environ[f"{service.name.upper()}_BUCKET"]).reachable()
    return None
