"""Routes that stream, answered whole on LocalStack, which does not know the address of their integration.

Their functions keep the managed loop there (`layers/core/core/streaming-runtime`), whose answers any gateway reads.
"""

import importlib
from collections.abc import Callable
from typing import Any

STREAMING = "/response-streaming-invocations"
ORDINARY = "/invocations"


def install() -> None:
    """Have LocalStack's gateway call the function of an integration that streams as any other function."""
    integrations: Any = importlib.import_module("localstack.services.apigateway.next_gen.execute_api.integrations.aws")
    integrations.get_lambda_function_arn_from_invocation_uri = ordinary(
        integrations.get_lambda_function_arn_from_invocation_uri
    )


def ordinary(arn_of: Callable[[str], str]) -> Callable[[str], str]:
    """LocalStack's reading of an integration's address, for both kinds of addresses."""

    def read(uri: str) -> str:
        return arn_of(uri.removesuffix(STREAMING) + ORDINARY if uri.endswith(STREAMING) else uri)

    return read
