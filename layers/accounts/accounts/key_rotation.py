"""The key pairs that access tokens are signed with: made once, then rotated.

The secret holds the current key and, staged as AWSPENDING, the next one, whose public half is published
long before it signs anything. So a rotation needs no order between those who sign and those who verify.
This module writes private keys and does not read them; the public ones are in a parameter. A key's ``kid``
is its version id in the secret.
"""

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NotRequired

import boto3
from typing_extensions import TypedDict

from accounts import signing_keys
from accounts.signing_keys import PublicJwk

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

# The previous key, for the tokens signed with it; the current one; the next one.
PUBLISHED_KEYS = 3


class Published(TypedDict):
    """What the parameter holds; ``requestId`` is of the request that changed it, which Lambda may deliver again."""

    keys: list[PublicJwk]
    requestId: NotRequired[str]


def keep(event: Mapping[str, Any]) -> Mapping[str, str]:
    """Make the first keys, or rotate when the property ``Version`` has been raised.

    Takes the event of a custom resource and returns its attribute ``Jwks``: the key set that verifies.
    """
    published = _published()
    keys = published["keys"]
    if not keys:
        keys = [_add_key("AWSCURRENT"), _add_key("AWSPENDING")]
        _publish(keys, event)
    elif _raised(event) and event["RequestId"] != published.get("requestId"):
        keys = _rotated(keys)
        _publish(keys, event)
    return {"Jwks": json.dumps({"keys": keys}, separators=(",", ":"))}


def _raised(event: Mapping[str, Any]) -> bool:
    if event["RequestType"] != "Update":
        return False
    return int(event["ResourceProperties"]["Version"]) > int(event["OldResourceProperties"]["Version"])


def _rotated(keys: list[PublicJwk]) -> list[PublicJwk]:
    """Make the next key the current one, and a new next one. May be repeated after a crash."""
    current, upcoming = (key["kid"] for key in keys[-2:])
    stages = _secrets().describe_secret(SecretId=os.environ["SIGNING_SECRET_ARN"])["VersionIdsToStages"]
    if "AWSCURRENT" not in stages.get(upcoming, []):
        _secrets().update_secret_version_stage(
            SecretId=os.environ["SIGNING_SECRET_ARN"],
            VersionStage="AWSCURRENT",
            MoveToVersionId=upcoming,
            RemoveFromVersionId=current,
        )
    return [*keys, _add_key("AWSPENDING")][-PUBLISHED_KEYS:]


def _add_key(stage: str) -> PublicJwk:
    """Store a new private key under the stage; returns its public half."""
    key = signing_keys.generate()
    _secrets().put_secret_value(
        SecretId=os.environ["SIGNING_SECRET_ARN"],
        ClientRequestToken=key.kid,
        SecretString=key.secret(),
        VersionStages=[stage],
    )
    return key.public_jwk()


def _published() -> Published:
    value = _parameters().get_parameter(Name=os.environ["JWKS_PARAMETER"])["Parameter"]["Value"]
    published: Published = json.loads(value)
    return published


def _publish(keys: list[PublicJwk], event: Mapping[str, Any]) -> None:
    published: Published = {"keys": keys, "requestId": event["RequestId"]}
    _parameters().put_parameter(
        Name=os.environ["JWKS_PARAMETER"], Value=json.dumps(published), Type="String", Overwrite=True
    )


@lru_cache(maxsize=1)
def _secrets() -> "SecretsManagerClient":
    return boto3.client("secretsmanager")


@lru_cache(maxsize=1)
def _parameters() -> "SSMClient":
    return boto3.client("ssm")
