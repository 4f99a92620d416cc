"""GET /.well-known/jwks.json: the public keys that access tokens are verified with (RFC 7517)."""

import os

from aws_lambda_powertools.event_handler import Response

from core.http import Api

api = Api()


@api.get("/.well-known/jwks.json")
def jwks() -> Response[str]:
    """200 with the key set; a key is in it before the first token is signed with it, so it may be cached."""
    return Response(200, "application/json", os.environ["JWKS"], {"Cache-Control": "public, max-age=300"})


handler = api
