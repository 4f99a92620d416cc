"""Knows three tokens: `Bearer good` is allowed, `Bearer bad` denied with a reason, any other fails."""

from typing import Any


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a TOKEN authorizer's question."""
    token = event["authorizationToken"]
    if token not in ("Bearer good", "Bearer bad"):
        raise RuntimeError("Unauthorized")
    effect = "Allow" if token == "Bearer good" else "Deny"
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": "*"}
    return {
        "principalId": "somebody",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": {"reason": 'the "bad" one', "challenge": 'Bearer error="invalid_token"'},
    }
