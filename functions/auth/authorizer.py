"""The gateway's authorizer: lets a request with a good access token pass, with the identity as its context.

Nothing but PyJWT and the standard library is imported: every protected call may wait for this cold start.
"""

import json
import time
from typing import Any

from core import identity
from core.errors import Unauthorized


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a TOKEN authorizer event with a policy for the whole stage, because the gateway caches it by token.

    A bad token is denied; the gateway turns that into 401. (A missing one never comes here.)
    """
    start = time.perf_counter()
    try:
        caller = identity.verifier().verify(identity.bearer_token(event["authorizationToken"]))
        principal, effect, context = caller.sub, "Allow", caller.context()
    except Unauthorized:
        principal, effect, context = "anonymous", "Deny", {}
    duration_ms = round((time.perf_counter() - start) * 1000, 1)
    print(json.dumps({"message": "authorized", "effect": effect, "user_id": principal, "duration_ms": duration_ms}))
    stage = "/".join(event["methodArn"].split("/")[:2])
    return {
        "principalId": principal,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": effect, "Resource": f"{stage}/*"}],
        },
        "context": context,
    }
