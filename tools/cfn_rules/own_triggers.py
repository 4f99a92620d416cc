"""No function writes where its own trigger listens: it would call itself, for ever, and each call is paid for.

Loops over several functions are not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from tools.cfn_rules import _rule
from tools.cfn_rules._intrinsics import Path, find, text
from tools.cfn_rules._policies import granted
from tools.cfn_rules._triggers import object_events, queue_sources

# What causes the events of each kind.
_CAUSES = {
    "s3:ObjectAcl": ("s3:PutObjectAcl", "s3:PutObjectVersionAcl"),
    "s3:ObjectCreated": ("s3:PutObject",),
    "s3:ObjectRemoved": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    "s3:ObjectRestore": ("s3:RestoreObject",),
    "s3:ObjectTagging": (
        "s3:DeleteObjectTagging",
        "s3:DeleteObjectVersionTagging",
        "s3:PutObjectTagging",
        "s3:PutObjectVersionTagging",
    ),
}


class OwnTrigger(_rule.Rule):
    """A function may not cause the events that call it."""

    id = "E9006"
    shortdesc = "No function writes where its own trigger listens"
    description = "What triggers a function, a queue or objects under some keys, is not among what it may write"
    tags = ("lambda", "s3", "sqs")

    def problems(self, resources: _rule.Resources) -> _rule.Problems:
        """Statements that let a function cause its own events."""
        for function, bucket, notification in object_events(resources):
            if function in resources and bucket in resources:
                yield from _own_objects(function, bucket, notification, resources)
        for polled, _ in queue_sources(resources):
            if polled.function in resources:
                for written, where in _written(polled.function, "sqs:SendMessage", resources):
                    if _may_be(written, polled.source, resources):
                        yield where, f"{polled.function} may send to {polled.source}, which calls it: name other queues"


def _own_objects(
    function: str, bucket: str, notification: dict[str, Any], resources: _rule.Resources
) -> _rule.Problems:
    listened = _listened(notification)
    for action in _causes(notification):
        for written, where in _written(function, action, resources):
            keys = _keys(written, bucket, resources)
            if keys is not None and overlap(keys, listened):
                yield (
                    where,
                    f"{function} may {action} {written}, and {listened} of {bucket} calls it: narrow the resource, or "
                    "the filter of the notification",
                )


def _written(function: str, action: str, resources: _rule.Resources) -> Iterator[tuple[str, Path]]:
    """The resources for which a function has an action; all, where a statement only says for which not."""
    for statement in granted(function, resources):
        if not statement.allows(action):
            continue
        if "NotResource" in statement.content:
            yield "*", (*statement.path, "NotResource")
        yield from statement.texts("Resource")


def _causes(notification: dict[str, Any]) -> list[str]:
    """The actions that cause a notification's events."""
    kinds = [text(event) for key in ("Event", "Events") for event, _ in find(notification, (), key)]
    return sorted({action for kind in kinds for action in _CAUSES.get(":".join(kind.split(":")[:2]), ())})


def _listened(notification: dict[str, Any]) -> str:
    """The keys whose events a notification is for, as a pattern."""
    rules = {
        text(rule.get("Name")).lower(): _pattern(text(rule.get("Value")))
        for rule, _ in find(notification, (), "Filter", "S3Key", "Rules")
    }
    return f"{rules.get('prefix', '')}*{rules.get('suffix', '')}"


def _pattern(value: str) -> str:
    """A text with `*` for what only the deployed stack knows."""
    return re.sub(r"\$\{[^}]*\}", "*", value)


def _other(resource: str, name: str, resources: _rule.Resources) -> bool:
    """Whether a resource is certainly not the one with this name: it refers to another one of the template."""
    referred = re.match(r"\$\{(\w+)", resource)
    return referred is not None and referred[1] != name and referred[1] in resources


def _may_be(resource: str, queue: str, resources: _rule.Resources) -> bool:
    if _other(resource, queue, resources):
        return False
    name = text(resources[queue].get("Properties", {}).get("QueueName", "${?}"))
    return f"${{{queue}.Arn}}" == resource or overlap(_pattern(resource), f"arn:*:sqs:*:*:{_pattern(name)}")


def _keys(resource: str, bucket: str, resources: _rule.Resources) -> str | None:
    """The keys of a bucket that a resource stands for, as a pattern; None when it stands for no key of this bucket."""
    if _other(resource, bucket, resources):
        return None
    own = re.fullmatch(rf"(?:\$\{{{bucket}\.Arn\}}|arn:[^/]*:s3:::\$\{{{bucket}\}})(.*)", resource)
    if own:
        # A wildcard that follows the bucket's name at once stands for the keys, too.
        return _pattern(own[1].removeprefix("/")) if own[1] else None
    named = re.fullmatch(r"arn:[^/]*:s3:::([^/]*)/(.*)", resource)
    if named is None:
        return "*" if overlap(_pattern(resource), "arn:*:s3:::*/*") else None
    name = text(resources[bucket].get("Properties", {}).get("BucketName", "${?}"))
    return _pattern(named[2]) if overlap(_pattern(named[1]), _pattern(name)) else None


@cache
def overlap(one: str, other: str) -> bool:
    """Whether some text matches both patterns, in which `*` stands for any text and `?` for one character."""
    if one.startswith("*"):
        return overlap(one[1:], other) or (other != "" and overlap(one, other[1:]))
    if other.startswith("*"):
        return overlap(other, one)
    if not one or not other:
        return one == other
    return (one[0] == other[0] or "?" in (one[0], other[0])) and overlap(one[1:], other[1:])
