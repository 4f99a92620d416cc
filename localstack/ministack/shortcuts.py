"""What MiniStack 1.5 works out anew for each call to AWS, although it stays the same: worked out once.

* A policy's text is parsed twice for each call, with all others of the caller's role.
* Who calls is looked up with all of the caller's policies where the name alone is wanted.
* A condition of DynamoDB's is looked through for errors of its grammar each time.
* Each object that is written starts a thread that parses what its bucket tells whom, to find that nobody is told.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
from collections.abc import Callable
from typing import Any

TEXTS = 1024
# AWS takes longer. A caller who waits for the answer of the call that wrote the object is served first.
EVENT_SECONDS = 0.02


def install(iam_evaluator: Any, dynamodb: Any, s3: Any) -> None:
    """Put this into MiniStack's `core.iam_evaluator`, `services.dynamodb` and `services.s3`."""
    _parse_policies_once(iam_evaluator)
    _name_callers(iam_evaluator)
    _read_conditions_once(dynamodb)
    _tell_who_listens(s3)


def _parse_policies_once(iam_evaluator: Any) -> None:
    """The statements of a text are the same each time; nobody changes them."""
    parse = iam_evaluator.parse_policy_document
    parse_text = functools.lru_cache(TEXTS)(parse)

    def parsed(document: Any) -> Any:
        return parse_text(document) if isinstance(document, str) else parse(document)

    iam_evaluator.parse_policy_document = parsed


def _name_callers(iam_evaluator: Any) -> None:
    """The caller's ARN is that of its credentials, whatever these allow."""
    responses, router = (importlib.import_module(f"ministack.core.{name}") for name in ("responses", "router"))

    def caller_arn(headers: Any, query_params: Any = None) -> str:
        account = responses.get_account_id()
        key = router.extract_access_key_id(headers or {}, query_params or {})
        owner = responses._account_from_sts_session(key) or account
        credential = iam_evaluator.resolve_credential(key, owner) if key else None
        # A key that is not known has none; the request is refused later.
        return getattr(credential, "principal_arn", "") or f"arn:aws:iam::{account}:root"

    iam_evaluator.request_caller_arn = caller_arn


def _read_conditions_once(dynamodb: Any) -> None:
    """A condition's grammar is right or wrong, whatever its values are."""
    dynamodb._condition_syntax_error = functools.lru_cache(TEXTS)(dynamodb._condition_syntax_error)


def _tell_who_listens(s3: Any) -> None:
    """An event that nobody is told starts no thread; one that somebody is told does not compete with its own answer."""
    tell = s3._fire_s3_event_async
    listeners = functools.lru_cache(TEXTS)(s3._parse_notification_config_raw)

    def later(call: Callable[[], None]) -> None:
        try:
            asyncio.get_running_loop().call_later(EVENT_SECONDS, call)
        except RuntimeError:  # not in the loop: nobody waits for this thread's answer
            call()

    def told(bucket: str, key: str, event: str, *arguments: Any, **named: Any) -> None:
        configuration = s3._bucket_notifications.get(bucket) or ""
        if "EventBridgeConfiguration" in configuration or any(
            s3._event_matches(event, listener["events"])
            and s3._key_matches_filter(key, listener["filter_prefix"], listener["filter_suffix"])
            for listener in listeners(configuration)
        ):
            later(functools.partial(tell, bucket, key, event, *arguments, **named))

    s3._parse_notification_config_raw, s3._fire_s3_event_async = listeners, told
