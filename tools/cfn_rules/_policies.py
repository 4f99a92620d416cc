"""What the policies of a template allow, wherever they are written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tools.cfn_rules._intrinsics import Path, find, names, text
from tools.cfn_rules._rule import Resources, of_type

_POLICIES = ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::RolePolicy")


@dataclass(frozen=True)
class Allowed:
    """A statement with the effect Allow."""

    content: dict[str, Any]
    path: Path

    @property
    def sid(self) -> str:
        """Its name, or nothing."""
        return str(self.content.get("Sid", ""))

    def texts(self, key: str) -> Iterator[tuple[str, Path]]:
        """Its actions or resources as texts."""
        for value, where in find(self.content, self.path, key):
            yield text(value), where

    def allows(self, action: str) -> bool:
        """Whether the action is among those it allows."""
        if "NotAction" in self.content:
            return not any(fnmatchcase(action.lower(), each.lower()) for each, _ in self.texts("NotAction"))
        return any(fnmatchcase(action.lower(), each.lower()) for each, _ in self.texts("Action"))


def allowed(value: Any, path: Path) -> Iterator[Allowed]:
    """The statements anywhere in a part of a template: inline policies, roles, policies of queues, buckets and keys."""
    if isinstance(value, dict):
        if value.get("Effect") == "Allow" and not {"Action", "NotAction"}.isdisjoint(value):
            yield Allowed(value, path)
            return
        for key, each in value.items():
            yield from allowed(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from allowed(each, (*path, index))


def granted(function: str, resources: Resources) -> Iterator[Allowed]:
    """What a function may do: by its own policies, by those of its role, and by those that are attached to either."""
    properties = resources[function].get("Properties", {})
    # SAM makes the role of a function that has none, under this name.
    roles = names(properties["Role"]) if "Role" in properties else [f"{function}Role"]
    path: Path = ("Resources", function, "Properties")
    yield from allowed(properties.get("Policies"), (*path, "Policies"))
    attached = [policy for policy, _ in find(properties, path, "Policies")]
    for name, role, where in of_type(resources, "AWS::IAM::Role"):
        if name in roles:
            yield from allowed(role.get("Policies"), (*where, "Policies"))
            attached += [policy for policy, _ in find(role, where, "ManagedPolicyArns")]
    policies = {name for policy in attached for name in names(policy)}
    for name, policy, where in of_type(resources, *_POLICIES):
        holders = [*find(policy, where, "Roles"), *find(policy, where, "RoleName")]
        if name in policies or any(role in roles for value, _ in holders for role in names(value)):
            yield from allowed(policy.get("PolicyDocument"), (*where, "PolicyDocument"))
