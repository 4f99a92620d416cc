"""The protocol of CloudFormation custom resources: run the work, report the outcome to the response URL.

Source: AWS CloudFormation User Guide, "Custom resource request/response objects".
"""

import json
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from core.logging import logger

# CloudFormation takes 4 KB for the whole answer, and a character may need six bytes.
_MAX_REASON_CHARACTERS = 400

Work = Callable[[Mapping[str, Any]], Mapping[str, str]]


def respond(event: Mapping[str, Any], work: Work) -> None:
    """Do ``work`` for a Create or an Update (a Delete has nothing to do) and tell CloudFormation how it went.

    ``work`` takes the event and returns the resource's attributes; whatever it raises becomes the reason of
    a failure, because a stack that hears nothing waits for an hour.
    """
    status, reason, attributes = "SUCCESS", "", dict[str, str]()
    try:
        if event["RequestType"] != "Delete":
            attributes = dict(work(event))
    except Exception as error:
        logger.exception("custom resource failed", resource=event.get("LogicalResourceId"))
        status, reason = "FAILED", f"{type(error).__name__}: {error}"[:_MAX_REASON_CHARACTERS]
    body = {
        "Status": status,
        "Reason": reason,
        "PhysicalResourceId": event.get("PhysicalResourceId") or f"{event['StackId']}/{event['LogicalResourceId']}",
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": attributes,
    }
    logger.info("custom resource", resource=event["LogicalResourceId"], request=event["RequestType"], status=status)
    request = urllib.request.Request(  # noqa: S310  (the URL is CloudFormation's)
        event["ResponseURL"],
        data=json.dumps(body, ensure_ascii=False).encode(errors="replace"),
        method="PUT",
        headers={"Content-Type": ""},
    )
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310
        pass
