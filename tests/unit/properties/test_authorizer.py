"""The authorizer answers any header with a policy: an exception would be a 5xx of the gateway for a caller's text."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt import api_jws

from auth import authorizer
from core.identity import MAX_TOKEN_CHARACTERS
from tests import events, tokens
from tests.unit.properties.calls import QUICK
from tests.unit.properties.conftest import World
from tests.unit.properties.values import HEADER_TEXTS, JSON_VALUES, ODD, TEXTS

ARNS = st.one_of(
    TEXTS,
    st.builds("arn:aws:execute-api:us-east-1:123456789012:abcdef1234/dev/{}/{}".format, TEXTS, TEXTS),
    st.builds("arn:aws-cn:execute-api:cn-north-1:1:a/$default/{}".format, TEXTS),
)
AUTHORIZATIONS = st.one_of(
    TEXTS,
    HEADER_TEXTS.map("Bearer {}".format),
    st.from_regex(r"\A[Bb]earer [\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,40}\Z"),
    st.sampled_from(sorted(tokens.bad_tokens().values())).map("Bearer {}".format),
    st.sampled_from(["Bearer " + "A" * 9000, "Bearer " + "e30." * 2000, "Bearer " + "." * 50]),
)


def decided(authorization: str, arn: str) -> str:
    """Allow or Deny, in an answer that API Gateway takes."""
    event = json.loads(json.dumps(events.token_authorizer(authorization, method_arn=arn)))
    answer = authorizer.handler(event, None)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert answer["principalId"]
    assert isinstance(answer["principalId"], str)
    assert all(isinstance(value, str | int) for value in answer["context"].values())
    (statement,) = answer["policyDocument"]["Statement"]
    assert statement["Action"] == "execute-api:Invoke"
    # Never more than the API and the stage that asked.
    assert statement["Resource"] == "/".join(arn.split("/")[:2]) + "/*"
    effect: str = statement["Effect"]
    assert effect == "Allow" or (effect, answer["context"]) == ("Deny", {})
    return effect


@QUICK
@given(authorization=AUTHORIZATIONS, arn=ARNS)
def test_any_text_but_a_good_token_is_denied(world: World, authorization: str, arn: str) -> None:
    assert world
    assert decided(authorization, arn) == "Deny"


@QUICK
@given(arn=ARNS, scheme=st.sampled_from(["Bearer", "bearer", "BEARER", "beAreR"]))
def test_a_good_token_is_allowed_for_any_resource(world: World, arn: str, scheme: str) -> None:
    assert decided(f"{scheme} {world.token()}", arn) == "Allow"


@QUICK
@given(part=st.integers(0, 2), place=st.integers(0, 2000), letter=st.sampled_from("Aa0-_."))
def test_a_good_token_of_which_a_letter_was_changed_is_denied(world: World, part: int, place: int, letter: str) -> None:
    parts = world.token().split(".")
    # The bits that the last letter has to spare mean nothing.
    place %= len(parts[part]) - 1
    before = parts[part]
    parts[part] = before[:place] + letter + before[place + 1 :]
    assert decided("Bearer " + ".".join(parts), events.METHOD_ARN) == ("Allow" if parts[part] == before else "Deny")


@pytest.mark.parametrize("claim", ["sub", "email", "role", "sid", "exp", "iat", "jti", "iss", "aud", "nbf", "extra"])
@QUICK
@given(value=st.sampled_from(ODD) | JSON_VALUES)
def test_no_claim_of_any_type_breaks_the_authorizer(world: World, claim: str, value: Any) -> None:
    assert world
    # PyJWT's own encoder does not write every type.
    claims = json.dumps(tokens.claims() | {claim: value}).encode()
    header = {"kid": tokens.KID, "typ": "at+jwt"}
    token = api_jws.encode(claims, tokens.key("ours"), algorithm="RS256", headers=header)
    effect = decided(f"Bearer {token}", events.METHOD_ARN)
    if claim in ("sub", "email", "role", "sid") and len(token) <= MAX_TOKEN_CHARACTERS:
        assert effect == ("Allow" if isinstance(value, str) and value else "Deny")
    if claim in ("iss", "aud"):
        assert effect == "Deny"
