"""Clients of AWS in the role of this execution environment.

They are botocore's own: boto3 would load its resources and its transfer manager beside them, which nobody here uses,
and takes half as long again. Even so botocore takes longer to import than everything else of a function together, so it
is imported when the first client is made.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from core.settings import SettingsError

if TYPE_CHECKING:
    from botocore.session import Session


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
    from botocore.config import Config

    # Of the two that Lambda sets, botocore knows the other one only.
    region = os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION")
    # Without one botocore makes up a text about this machine for every request, which takes a tenth of its time.
    config = Config(user_agent="llm-microservices", **options)
    return _session().create_client(service, region_name=region, endpoint_url=endpoint_url, config=config)


def at_start(make: Callable[[], object]) -> None:
    """Make on Lambda, while the environment starts, what its first call needs; elsewhere that call makes it.

    A start has a whole processor, where a call has the part that goes with the function's memory.
    """
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE"):
        # What a setting lacks, the call says in its answer.
        with suppress(SettingsError):
            make()
