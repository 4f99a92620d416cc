"""What the functions of chat need beside what those of every generating service do."""

COUNTS = {"RateLimitTable UpdateItem"}
CURSORS = {"CursorSecret GetSecretValue"}


def table(*operations: str) -> set[str]:
    """These operations on the table of sessions."""
    return {f"ChatTable {operation}" for operation in operations}


def objects(operation: str, *kinds: str) -> set[str]:
    """An operation on these kinds of objects in the bucket of chat."""
    return {f"ChatBucket {operation} {kind}" for kind in kinds}


LISTS = objects("ListBucket", "record", "history")
REMOVES = (
    LISTS
    | table("GetItem", "UpdateItem", "DeleteItem")
    | objects("GetObject", "session", "record", "tombstone")
    | objects("PutObject", "tombstone")
    | objects("DeleteObject", "session", "record", "artifact")
)
MORE: dict[str, set[str]] = {
    "ChatGenerateFunction": (
        LISTS
        | table("GetItem", "PutItem", "UpdateItem", "DeleteItem")
        | objects("GetObject", "session", "record", "tombstone")
        | objects("PutObject", "session", "tombstone")
        | objects("DeleteObject", "session", "record", "artifact")
    ),
    "ChatModelsFunction": COUNTS,
    "ChatSessionsFunction": COUNTS | CURSORS | table("Query used"),
    "ChatCreateSessionFunction": COUNTS | table("PutItem"),
    "ChatSessionFunction": COUNTS | table("GetItem"),
    "ChatChangeSessionFunction": COUNTS | table("GetItem", "UpdateItem"),
    "ChatMessagesFunction": (
        COUNTS
        | CURSORS
        | LISTS
        | table("GetItem", "UpdateItem")
        | objects("GetObject", "session", "record", "tombstone")
        | objects("PutObject", "session")
    ),
    "ChatEndSessionFunction": COUNTS | REMOVES | {"ChatRemovalQueue SendMessage"},
    "ChatRemoveFunction": REMOVES
    | {f"ChatRemovalQueue {operation}" for operation in ("GetQueueAttributes", "ReceiveMessage", "DeleteMessage")},
    "ChatRetentionFunction": table("Scan") | {"ChatRemovalQueue SendMessage", "ChatRetentionDeadLetters SendMessage"},
}
