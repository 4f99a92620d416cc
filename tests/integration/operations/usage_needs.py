"""What the functions of usage need, and what others need so that it is counted."""

from tests.services import SERVICES

COUNTS = {"RateLimitTable UpdateItem"}


def table(*operations: str) -> set[str]:
    """These operations on the table of usage."""
    return {f"UsageTable {operation}" for operation in operations}


def objects(operation: str, *kinds: str) -> set[str]:
    """An operation on these kinds of objects in the bucket of every service."""
    return {f"{service.pascal}Bucket {operation} {kind}" for service in SERVICES for kind in kinds}


COUNTING = (
    table("BatchGetItem", "ConditionCheckItem", "DeleteItem", "PutItem", "Query")
    | objects("ListBucket", "record", "history")
    | objects("GetObject", "record", "tombstone")
)
OWN_TABLES = {service.variables[service.user_table].removeprefix("!Ref ") for service in SERVICES if service.user_table}
MORE: dict[str, set[str]] = {
    "UsageCountFunction": COUNTING
    | {f"UsageQueue {operation}" for operation in ("GetQueueAttributes", "ReceiveMessage", "DeleteMessage")},
    "RecountFunction": COUNTING | table("Query ByPeriod"),
    "OverviewFunction": COUNTS | table("BatchGetItem", "Query", "Query ByPeriod"),
    "TimeseriesFunction": COUNTS | table("BatchGetItem", "Query"),
    "PerformanceFunction": COUNTS | table("BatchGetItem", "Query"),
    "CostsFunction": COUNTS | table("BatchGetItem", "Query"),
    "UsersFunction": COUNTS | table("BatchGetItem", "Query", "Query ByPeriod"),
    "MetricsFunction": COUNTS | table("Query") | {"ScrapeToken GetSecretValue"},
    "ForgetFunction": COUNTING
    | {"DatabaseSecret GetSecretValue"}
    | objects("GetObject", "session", "profile", "history")
    | objects("PutObject", "tombstone")
    | objects("DeleteObject", "record", "artifact", "session", "profile", "history")
    | {f"{name} {operation}" for name in ("IdempotencyTable", "RateLimitTable") for operation in ("DeleteItem", "Scan")}
    | {f"{name} {operation}" for name in OWN_TABLES for operation in ("DeleteItem", "Query")},
    # Failed calls leave no record.
    **{f"{service.pascal}GenerateFunction": {"UsageQueue SendMessage"} for service in SERVICES},
}
