"""What our rules have in common: they look at the resources and say what is wrong where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cfnlint.rules import CloudFormationLintRule, RuleMatch  # type: ignore[import-untyped]

from tools.cfn_rules._intrinsics import Path

Resources = dict[str, dict[str, Any]]
Problems = Iterator[tuple[Path, str]]


# Rules import this module, not the class: cfn-lint takes every class that it finds in their namespace for a rule.
class Rule(CloudFormationLintRule):  # type: ignore[misc]
    """A rule of ours."""

    def problems(self, resources: Resources) -> Problems:
        """Where the template breaks the rule, and what to do about it."""
        raise NotImplementedError

    def match(self, cfn: Any) -> list[RuleMatch]:
        """What cfn-lint calls."""
        return [RuleMatch(list(path), message) for path, message in self.problems(cfn.template.get("Resources", {}))]


def of_type(resources: Resources, *types: str) -> Iterator[tuple[str, dict[str, Any], Path]]:
    """The name, the properties and the place of each resource of these types."""
    for name, resource in resources.items():
        if resource.get("Type") in types:
            yield name, resource.get("Properties", {}), ("Resources", name, "Properties")


def functions(resources: Resources) -> Iterator[tuple[str, dict[str, Any], Path]]:
    """The functions."""
    return of_type(resources, "AWS::Serverless::Function", "AWS::Lambda::Function")
