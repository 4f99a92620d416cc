"""GET /.well-known/jwks.json: the public keys that access tokens are verified with (RFC 7517)."""

import os
from typing import Annotated

from typing_extensions import TypedDict

from core.description import Described
from core.http import JSON, Api, Response

api = Api()


class Key(TypedDict):
    """A public key (RFC 7517); ``kid`` is what a token's header names it by."""

    kty: Annotated[str, Described(enum=["RSA"])]
    use: Annotated[str, Described(enum=["sig"])]
    alg: Annotated[str, Described(enum=["RS256"])]
    kid: str
    n: Annotated[str, Described("Modulus, base64url.")]
    e: Annotated[str, Described("Exponent, base64url.", examples=["AQAB"])]


class KeySet(TypedDict):
    """The keys of this moment, of before the last rotation and of after the next one."""

    keys: list[Key]


@api.get(
    "/.well-known/jwks.json",
    operation_id="getKeys",
    answers={200: {"": "The key set.", JSON: KeySet}},
)
def jwks() -> Response[str]:
    """200 with the key set; a key is in it before the first token is signed with it, so it may be cached."""
    return Response(200, JSON, os.environ["JWKS"], {"Cache-Control": "public, max-age=300"})


handler = api
