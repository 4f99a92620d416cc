"""Policies name what they allow; where a resource must be `*`, the template says why.

A reason is in the metadata of the resource that has the policy, under the statement's `Sid` or the policy's name:

    Metadata:
      WildcardReasons:
        NetworkInterfaces: EC2 has no resource-level permissions for these actions.
"""

from __future__ import annotations

import re
from typing import Any

from tools.cfn_rules import _rule
from tools.cfn_rules._intrinsics import Found, Path, find, names, text
from tools.cfn_rules._policies import Allowed, allowed

# "*"; everything of a service or of a kind (arn:aws:sqs:*:*:*, …:table/*); everything in a resource (${Bucket.Arn}/*).
_WHOLE = re.compile(r"\*+|arn:[^:]*:[^:]*:[^:]*:[^:]*:(?:[^:/*]+[:/])?\*+|\$\{\w+(?:\.\w+)?\}[:/]?\*+")
_PSEUDO_PARAMETER = re.compile(r"\$\{AWS::\w+\}")

# What SAM attaches to the role of a function with such an event: for every queue, or stream, of the account.
_POLICIES_OF_EVENTS = {
    "DynamoDB": "AWSLambdaDynamoDBExecutionRole",
    "Kinesis": "AWSLambdaKinesisExecutionRole",
    "MQ": "AWSLambdaAmazonMQExecutionRole",
    "MSK": "AWSLambdaMSKExecutionRole",
    "SQS": "AWSLambdaSQSQueueExecutionRole",
}


class WildcardAction(_rule.Rule):
    """An action of tomorrow would be allowed, too."""

    id = "E9004"
    shortdesc = "No wildcard in an allowed action"
    description = "Statements that allow name each action; there is no reason for a wildcard"
    tags = ("iam",)

    def problems(self, resources: _rule.Resources) -> _rule.Problems:
        """Actions with a wildcard, and NotAction."""
        for name, resource in resources.items():
            for statement in allowed(resource.get("Properties"), ("Resources", name, "Properties")):
                if "NotAction" in statement.content:
                    yield statement.path, f"{name} allows all but some actions: list those that are needed under Action"
                for action, where in statement.texts("Action"):
                    if "*" in action or "?" in action:
                        yield where, f"{name} allows {action}: list the actions that are needed"


class WildcardResource(_rule.Rule):
    """A policy is for the resources that are named, or there is a reason in writing."""

    id = "E9005"
    shortdesc = "No wildcard for a resource, a principal or a ready-made policy without a reason"
    description = "What allows * has a reason in the resource's Metadata, under WildcardReasons"
    tags = ("iam",)

    def problems(self, resources: _rule.Resources) -> _rule.Problems:
        """Wildcards without a reason, and reasons without a wildcard."""
        for name, resource in resources.items():
            path: Path = ("Resources", name, "Properties")
            properties = resource.get("Properties", {})
            reasons = resource.get("Metadata", {}).get("WildcardReasons", {})
            needed: set[str] = set()
            for statement in allowed(properties, path):
                for what, where in _wildcards(statement):
                    needed.add(statement.sid)
                    if not _is_given(reasons, statement.sid):
                        yield (
                            where,
                            f"{name} allows {what}: name what is needed, or give the statement a Sid and the reason "
                            f"under Metadata.WildcardReasons.{statement.sid or '<Sid>'}",
                        )
            for policy, where in _ready_made(properties, path, resources):
                needed.add(policy)
                if not _is_given(reasons, policy):
                    yield (
                        where,
                        f"{name} has {policy}, whose resources others choose: write the statements, or the reason "
                        f"under Metadata.WildcardReasons.{policy}",
                    )
            for unused in reasons.keys() - needed:
                where = ("Resources", name, "Metadata", "WildcardReasons", unused)
                yield where, f"Nothing in {name} needs the reason {unused}: remove it"


def _is_given(reasons: dict[str, Any], key: str) -> bool:
    return isinstance(reason := reasons.get(key), str) and bool(reason.strip())


def _wildcards(statement: Allowed) -> Found:
    for resource, where in statement.texts("Resource"):
        if _WHOLE.fullmatch(_PSEUDO_PARAMETER.sub("pseudo", resource)):
            yield f"the resource {resource}", where
    if "NotResource" in statement.content:
        yield "all but some resources", (*statement.path, "NotResource")
    for principal, where in [
        *find(statement.content, statement.path, "Principal"),
        *find(statement.content, statement.path, "Principal", "AWS"),
    ]:
        if principal == "*":
            yield "everybody", where


def _ready_made(properties: dict[str, Any], path: Path, resources: _rule.Resources) -> Found:
    """Managed policies that are not in the template, and SAM's policy templates."""
    attached = [*find(properties, path, "ManagedPolicyArns"), *find(properties, path, "Policies")]
    for policy, where in attached:
        if isinstance(policy, dict) and not {"Statement", "PolicyDocument"}.isdisjoint(policy):
            continue
        if isinstance(policy, dict) and len(policy) == 1 and next(iter(policy)).endswith("Policy"):
            yield next(iter(policy)), where
        elif not any(name in resources for name in names(policy)):
            yield text(policy).rpartition("/")[2], where
    for event, where in find(properties, path, "Events"):
        for name, one in event.items():
            if isinstance(one, dict) and one.get("Type") in _POLICIES_OF_EVENTS:
                yield _POLICIES_OF_EVENTS[one["Type"]], (*where, name)
