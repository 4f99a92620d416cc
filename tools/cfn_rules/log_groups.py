"""Every function writes to a log group of its own, which forgets."""

from __future__ import annotations

from tools.cfn_rules import _rule
from tools.cfn_rules._intrinsics import find, names


class LogGroup(_rule.Rule):
    """Without one, Lambda makes a group that keeps its logs for ever."""

    id = "E9001"
    shortdesc = "A function has a log group of its own, with retention"
    description = "LoggingConfig.LogGroup is an AWS::Logs::LogGroup with RetentionInDays that no other function has"
    tags = ("logs",)

    def problems(self, resources: _rule.Resources) -> _rule.Problems:
        """Functions without such a group."""
        keeping = {
            name: any(find(properties, path, "RetentionInDays"))
            for name, properties, path in _rule.of_type(resources, "AWS::Logs::LogGroup")
        }
        users: dict[str, str] = {}
        for function, properties, path in _rule.functions(resources):
            found = [name for value, _ in find(properties, path, "LoggingConfig", "LogGroup") for name in names(value)]
            groups = [name for name in found if name in keeping]
            if not groups:
                yield (
                    path,
                    f"{function} has no log group: add an AWS::Logs::LogGroup and name it in LoggingConfig.LogGroup",
                )
            for group in groups:
                if not keeping[group]:
                    yield ("Resources", group), f"{group}, the log group of {function}, needs RetentionInDays"
                if users.setdefault(group, function) != function:
                    yield path, f"{function} and {users[group]} share {group}: give each a log group of its own"
