"""The owner's key `test` signs with the secret `test`, as `make status` says.

MiniStack 1.5 takes two keys for its owner's: `test` always, and the one of its settings, which here is what
localstack-client sends. What either signs in a URL is checked with one secret, that of the settings.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from localstack.settings import ACCESS_KEY, SECRET_KEY


def install(iam_evaluator: Any, s3: Any) -> None:
    """Let the key of `make status` have its own secret where `services.s3` checks signed URLs and forms."""
    resolve = iam_evaluator.resolve_credential

    def resolved(access_key_id: str, *arguments: Any, **named: Any) -> Any:
        credential = resolve(access_key_id, *arguments, **named)
        if access_key_id == ACCESS_KEY and isinstance(credential, iam_evaluator.ResolvedCredential):
            return replace(credential, secret_access_key=SECRET_KEY)
        return credential

    iam_evaluator.resolve_credential = s3.resolve_credential = resolved
