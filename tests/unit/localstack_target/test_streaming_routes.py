"""Routes that stream, on LocalStack: their integration names a function as every other one does."""

import pytest
import streaming_routes

FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:chat"
PATH = "arn:aws:apigateway:us-east-1:lambda:path"


def arn_of(uri: str) -> str:
    """LocalStack's own reading, of 2026.3.0."""
    return uri.split("functions/")[1].removesuffix("/invocations")


@pytest.mark.parametrize(
    "uri",
    [
        f"{PATH}/2015-03-31/functions/{FUNCTION}/invocations",
        f"{PATH}/2021-11-15/functions/{FUNCTION}/response-streaming-invocations",
    ],
)
def test_an_integration_leads_to_its_function(uri: str) -> None:
    assert streaming_routes.ordinary(arn_of)(uri) == FUNCTION
