"""What MiniStack 1.5 works out anew for each call to AWS, although it stays the same: worked out once.

* A policy's text is parsed twice for each call, with all others of the caller's role.
* Who calls is looked up with all of the caller's policies where the name alone is wanted.
* A condition of DynamoDB's is looked through for errors of its grammar each time, and an expression's words are read
  three times. Items are copied by what copies everything.
* Each object that is written starts a thread that parses what its bucket tells whom, to find that nobody is told.
* The file of an object is looked for link by link, four times; and each is written through two layers of buffers.
* Which addresses a policy's condition means, and whom a resource's policy, is worked out for each call.
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import importlib
import os
from collections.abc import Callable
from contextlib import suppress
from types import FunctionType, SimpleNamespace
from typing import Any

TEXTS = 1024
# AWS takes longer. A caller who waits for the answer of the call that wrote the object is served first.
EVENT_SECONDS = 0.02

# Of Linux: https://man7.org/linux/man-pages/man2/rename.2.html
_renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
_HERE, _EXCHANGE = -100, 2


def install(iam_evaluator: Any, dynamodb: Any, s3: Any) -> None:
    """Put this into MiniStack's `core.iam_evaluator`, `services.dynamodb` and `services.s3`."""
    _parse_policies_once(iam_evaluator)
    _name_callers(iam_evaluator)
    _read_expressions_once(dynamodb)
    _copy_items(dynamodb)
    _tell_who_listens(s3)
    _know_where_files_are(s3)
    _write_files_at_once(s3)
    _know_networks(iam_evaluator)
    _choose_statements_once(iam_evaluator)


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


def _read_expressions_once(dynamodb: Any) -> None:
    """A condition's grammar is right or wrong, and an expression has these words, whatever its values are."""
    dynamodb._condition_syntax_error = functools.lru_cache(TEXTS)(dynamodb._condition_syntax_error)
    tokens = functools.lru_cache(TEXTS)(dynamodb._tokenize)

    def tokenized(expression: str) -> list[tuple[str, str]]:
        return list(tokens(expression))

    dynamodb._tokenize = tokenized


def _copy_items(dynamodb: Any) -> None:
    """An item is what JSON has: dictionaries and lists of it, and values that never change."""
    copy_any = dynamodb.copy.deepcopy

    def copied(value: Any) -> Any:
        kind = type(value)
        if kind is str or kind is bool or value is None:
            return value
        if kind is dict:
            return {name: copied(inner) for name, inner in value.items()}
        if kind is list:
            return [copied(inner) for inner in value]
        return copy_any(value)

    dynamodb.copy = SimpleNamespace(**vars(dynamodb.copy) | {"deepcopy": copied})


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


def _know_where_files_are(s3: Any) -> None:
    """No link is in the folder of S3's files: nobody but MiniStack writes to it, and it makes none.

    And a key is where its path says, unless a file or a folder is in the way, or some key of the bucket is no path.
    """
    look, locate, locate_other = s3.os.path.realpath, s3._key_disk_path, s3._other_key_disk_path

    @functools.lru_cache(1)
    def root() -> str:
        return str(look(s3.DATA_DIR))

    def found(path: str) -> str:
        for known in (root(), s3.DATA_DIR):
            if path.startswith(f"{known}{os.sep}"):
                return os.path.normpath(root() + path[len(known) :])
        return str(look(path))

    def has_only_paths(base: str) -> bool:
        return not os.path.isdir(os.path.join(base, s3._ENCODED_KEYS_DIR))

    def located(base: str, key: str) -> str | None:
        base = found(base)
        plain = os.path.join(base, key)
        if s3._plain_path_key(key) and (os.path.isfile(plain) or (has_only_paths(base) and _is_free(plain))):
            return plain
        path: str | None = locate(base, key)
        return path

    def located_elsewhere(base: str, key: str, path: str) -> str | None:
        if path == os.path.join(found(base), key) and has_only_paths(base):
            return None
        other: str | None = locate_other(base, key, path)
        return other

    names = SimpleNamespace(**vars(s3.os.path) | {"realpath": found})
    s3.os = SimpleNamespace(**vars(s3.os) | {"path": names})
    s3._key_disk_path, s3._other_key_disk_path = located, located_elsewhere


def _is_free(path: str) -> bool:
    """Whether there can be a file of this path that is not there yet."""
    if os.path.lexists(path):
        return False
    above = os.path.dirname(path)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    return os.path.isdir(above)


def _write_files_at_once(s3: Any) -> None:
    """A file's content is whole in memory, and needs no buffers on its way.

    One that takes another's place changes places with it, which goes then: to a rename over a file ext4 adds that the
    new content is on its way to the disk, and everybody waits for that (`auto_da_alloc`).
    """

    def write(path: str, data: bytes | str, *, text: bool = False) -> None:
        left = memoryview(data.encode() if isinstance(data, str) else data)
        temporary = f"{path}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            try:
                while left:
                    left = left[os.write(descriptor, left) :]
            finally:
                os.close(descriptor)
        except OSError:
            with suppress(OSError):
                os.remove(temporary)
            raise
        if _exchange(temporary, path):
            os.remove(temporary)
        else:
            os.replace(temporary, path)

    s3._atomic_write = write


def _exchange(one: str, other: str) -> bool:
    """Let two files change places, at once, where both are there and the system can do that."""
    if _renameat2 is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    return bool(_renameat2(_HERE, names[0], _HERE, names[1], _EXCHANGE) == 0)


def _know_networks(iam_evaluator: Any) -> None:
    """An address, and the addresses of a network, are the same each time."""
    read = iam_evaluator.ipaddress
    known = {name: functools.lru_cache(TEXTS)(getattr(read, name)) for name in ("ip_address", "ip_network")}
    iam_evaluator.ipaddress = SimpleNamespace(**vars(read) | known)


def _choose_statements_once(iam_evaluator: Any) -> None:
    """Which of a resource's statements are about a caller is the same each time; what they say of a call is not."""
    look = iam_evaluator.evaluate_resource_policy
    choose = FunctionType(
        look.__code__, vars(iam_evaluator) | {"evaluate": lambda _context, statements: statements}, "choose"
    )

    @functools.lru_cache(TEXTS)
    def chosen(policy: str, caller: str, *how: Any) -> Any:
        return choose(policy, SimpleNamespace(principal_arn=caller), *how)

    def evaluated(
        policy: Any, context: Any, service: str | None = None, named_only: bool = False, direct_only: bool = False
    ) -> Any:
        how = service, named_only, direct_only
        if not isinstance(policy, str):
            return look(policy, context, *how)
        return iam_evaluator.evaluate(context, chosen(policy, context.principal_arn, *how))

    iam_evaluator.evaluate_resource_policy = evaluated
