"""Permissions boundaries of a template's roles, which MiniStack 1.5 evaluates and its CloudFormation leaves out."""

from __future__ import annotations

from typing import Any


def install(provisioners: Any, iam: Any) -> None:
    """Make CloudFormation give a role its PermissionsBoundary."""
    handlers = provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"]
    create, update = handlers["create"], handlers["update"]

    def bounded_create(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        answer = create(logical_id, props, stack_name)
        iam._roles[answer[0]]["PermissionsBoundary"] = props.get("PermissionsBoundary")
        return answer

    def bounded_update(physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any, **named: Any) -> Any:
        answer = update(physical_id, old, new, *rest, **named)
        iam._roles[answer[0]]["PermissionsBoundary"] = new.get("PermissionsBoundary")
        return answer

    provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"] = handlers | {"create": bounded_create, "update": bounded_update}
