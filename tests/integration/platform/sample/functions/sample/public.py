"""Shows a caller what the function sees, or fails in a way that the path names."""

import importlib
import importlib.util
import json
import os
import time
from typing import Any

greeting = importlib.import_module("greeting")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a proxy event."""
    print(json.dumps({"message": "called", "path": event["path"]}))
    what = (event.get("pathParameters") or {}).get("what")
    if what == "raise":
        raise RuntimeError("a secret detail")
    if what == "nonsense":
        return {"not": "a proxy response"}
    if what == "slow":
        time.sleep(60)
    if what == "empty":
        return {"statusCode": 204, "body": None}
    seen = {
        "greeting": greeting.WORD + " " + os.environ["GREETING"],
        "compiled": greeting.__cached__,
        "environment": sorted(os.environ),
        "modules": [name for name in ("boto3", "ministack", "pydantic", "psutil") if importlib.util.find_spec(name)],
        "sourceIp": event["requestContext"]["identity"]["sourceIp"],
        "path": event["path"],
        "process": os.getpid(),
    }
    return {"statusCode": 200, "body": json.dumps(seen)}
