"""Clients of AWS in the role of this execution environment.

They are botocore's own: boto3 would load its resources and its transfer manager beside them, which nobody here uses,
and takes half as long again. Even so botocore takes longer to import than everything else of a function together, so it
is imported when the first client is made; and on Lambda what S3 and DynamoDB are asked in most requests does without it
(``core.direct``), unless STORE_CLIENTS is ``botocore``.
"""

import math
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from core import waiting
from core.settings import SettingsError
from core.waiting import Patience

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from botocore.session import Session

    from core import direct


class _Every:
    """Where everything is; a service that there is not fails when its data are read."""

    def __contains__(self, _name: object) -> bool:
        return True


_EVERY = _Every()


@lru_cache(maxsize=1)
def _session() -> "Session":
    from botocore.loaders import Loader
    from botocore.session import get_session

    class Direct(Loader):
        """Reads the data of a service without looking first for those of all services, which takes longer."""

        def list_available_services(self, type_name: str) -> Any:
            return _EVERY

    session = get_session()
    session.register_component("data_loader", Direct())
    return session


def client(service: str, *, endpoint_url: str | None = None, **options: Any) -> Any:
    """A client of an AWS service; the options are those of ``botocore.config.Config``."""

    def whole() -> Any:
        from botocore.config import Config

        # Without one botocore makes up a text about this machine for every request, which takes a tenth of its time.
        config = Config(user_agent="llm-microservices", **options)
        made = _session().create_client(service, region_name=_region(), endpoint_url=endpoint_url, config=config)
        made.meta.events.register_last("before-call.s3", _send_at_once)
        return made

    return _direct(service, endpoint_url, options, whole) or whole()


def begin(client: Any, call: str, **request: Any) -> "Callable[[Patience | None], Any]":
    """Begin a call of S3's or DynamoDB's client, and go on; what is returned waits for the answer, and raises as it.

    With patience it waits no longer than that, and raises ``core.waiting.DeadlinePassed``. Several that are begun are
    done at once, by a client of our own without a thread as a rule.
    """
    if hasattr(type(client), "begin"):
        begun: Callable[[Patience | None], Any] = client.begin(call, **request)
        return begun
    asked = waiting.begun(lambda: getattr(client, call)(**request))
    return lambda patience: asked(patience or Patience(math.inf))


def error_code(error: "ClientError") -> str:
    """What AWS calls an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _region() -> str | None:
    # Of the two that Lambda sets, botocore knows the other one only.
    return os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION")


# What only botocore knows how to do.
_FOR_BOTOCORE = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT")
_REGION = re.compile(r"(af|ap|ca|cn|eu|il|me|mx|sa|us)-[a-z]+-\d")


def _direct(
    service: str, endpoint_url: str | None, options: Mapping[str, Any], whole: Callable[[], Any]
) -> "direct.Client | None":
    """A client that does without botocore, where all that it has to know is in the environment, as on Lambda."""
    found = os.environ
    region = _region() or ""
    endpoint = endpoint_url or found.get(f"AWS_ENDPOINT_URL_{service.upper()}") or found.get("AWS_ENDPOINT_URL") or None
    if (
        service not in ("s3", "dynamodb")
        or found.get("STORE_CLIENTS") == "botocore"
        or "AWS_LAMBDA_INITIALIZATION_TYPE" not in found
        or not (found.get("AWS_ACCESS_KEY_ID") and found.get("AWS_SECRET_ACCESS_KEY"))
        or any(found.get(name) for name in _FOR_BOTOCORE)
        or not _REGION.fullmatch(region)
        or _goes_through_a_proxy(endpoint)
    ):
        return None
    from core import direct

    suffix = f"{service}.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
    signer = direct.Signer(
        service,
        region,
        found["AWS_ACCESS_KEY_ID"],
        found["AWS_SECRET_ACCESS_KEY"],
        found.get("AWS_SESSION_TOKEN"),
    )

    def connect(url: str) -> direct.Connections:
        return direct.Connections(url, connect_timeout=options["connect_timeout"], read_timeout=options["read_timeout"])

    common = (signer, connect, options["retries"]["total_max_attempts"], whole)
    endpoint = endpoint and endpoint.rstrip("/")
    if service == "s3":
        return direct.S3(endpoint, suffix, *common)
    return direct.DynamoDB(endpoint or f"https://{suffix}", *common)


def _goes_through_a_proxy(endpoint: str | None) -> bool:
    scheme, _, rest = (endpoint or "https://amazonaws.com").partition("://")
    if not any(os.environ.get(name) for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY")):
        return False
    from urllib.request import proxy_bypass

    return not proxy_bypass(rest.partition("/")[0])


def _send_at_once(params: dict[str, Any], **_more: Any) -> None:
    """Send a body with its headers. To ask first whether it is welcome costs a round trip, and none here is large."""
    params["headers"].pop("Expect", None)


def at_start(make: Callable[[], object]) -> None:
    """Make on Lambda, while the environment starts, what its first call needs; elsewhere that call makes it.

    A start has a whole processor, where a call has the part that goes with the function's memory.
    """
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE"):
        # What a setting lacks, the call says in its answer.
        with suppress(SettingsError):
            make()
