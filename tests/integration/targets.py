"""What the integration tests may run against (`make test-integration EMULATOR=…`), and what each target cannot do.

A test that needs a capability says so, `@pytest.mark.needs("iam")`, and is skipped on a target that lacks it, with the
reason that is written here. `test_capabilities.py` tries each capability on each target, so that one which a target
has learnt turns red until its line is removed. Another target costs one entry in TARGETS.
"""

import os
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.client import Platform
from tests.integration.on_localstack import running_on_localstack
from tests.integration.on_sam_local import running_on_sam_local
from tests.own_platform import running_platform

ROOT = Path(__file__).resolve().parents[2]

CAPABILITIES = {
    "authorizers": "a Lambda authorizer decides who reaches a protected route",
    "bedrock": "Bedrock answers, with texts of its own",
    "exact_bodies": "a body is known byte for byte, so that U+FFFD is told from bytes that are no UTF-8",
    "gateway_responses": "what the gateway answers itself has the template's words and headers",
    "head_lengths": "HEAD tells the length that the answer to GET has",
    "iam": "a function may do what its role says and nothing else",
    "launcher": "`make up`, live edits, and what they add to the emulator",
    "logs": "what functions log is in CloudWatch Logs",
    "quiet_network": "no network interface appears where functions start, for which a browser drops what it has yet to load",
    "raw_bodies": "bytes that are no UTF-8 reach the function, which refuses them",
    "raw_paths": "a path reaches its route as it was sent, however it is encoded",
    "refusals": "a protected route tells 401 as problem details to who has no token, or a bad one",
    "request_ids": "each call has an id of its own",
    "s3_signatures": "a signed URL that was tampered with, or none, is refused",
    "streaming": "an answer leaves in pieces, as its function makes them",
    "triggers": "an object that arrives is an event in the queue, and a message calls its function",
    "updates": "a deployment beside calls loses none: the API keeps its stage, functions finish what they began",
    "user_agents": "a request's context tells which program calls",
}

Start = Callable[[Path, Mapping[str, str]], AbstractContextManager[Platform]]


@dataclass(frozen=True)
class Target:
    """Something that runs the template. ``start`` gets a folder to keep things in, and settings as variables."""

    name: str
    product: str
    lock: str  # of requirements/, which has the version of the product
    start: Start
    lacks: Mapping[str, str] = field(default_factory=dict)  # capability: why

    def __post_init__(self) -> None:
        unknown = set(self.lacks) - set(CAPABILITIES)
        if unknown:
            raise ValueError(f"{self.name} lacks what is no capability: {', '.join(sorted(unknown))}")

    @property
    def version(self) -> str:
        """The version of the product that the lock file pins."""
        locked = (ROOT / "requirements" / self.lock).read_text()
        found = re.search(rf"^{re.escape(self.product)}(?:\[\w+\])?==([^ ;\\]+)", locked, re.MULTILINE)
        if found is None:
            raise LookupError(f"requirements/{self.lock} has no {self.product}")
        return found[1]

    def why_not(self, capability: str) -> str | None:
        """Why a test that needs the capability does not run here; None when it does.

        Raises KeyError for a capability that nobody has declared.
        """
        _ = CAPABILITIES[capability]
        if capability not in self.lacks:
            return None
        return f"{capability}: {self.product} {self.version}: {self.lacks[capability]}"


TARGETS = {
    target.name: target
    for target in (
        Target("embedded", "ministack", "platform.txt", running_platform),
        Target("localstack", "localstack-core", "localstack.txt", running_on_localstack, {
            "authorizers": "Lambda authorizers of REST APIs are not called; functions verify tokens themselves",
            "bedrock": "it is not in the free edition",
            "exact_bodies": "bytes that are no UTF-8 become U+FFFD, as on AWS, and functions refuse both",
            "gateway_responses": "those of the template are left out; the gateway answers in its own words",
            "head_lengths": "it says 0",
            "iam": "roles are not enforced",
            "launcher": "`make up` and what it adds to MiniStack are of the embedded platform",
            "s3_signatures": "signatures are not looked at",
            "streaming": "an integration that streams answers as one that does not, and so does the runtime client",
            "updates": "an update takes the API's stage away (`make up-localstack` makes it again afterwards)",
        }),
        Target("sam-local", "aws-sam-cli", "dev.txt", running_on_sam_local, {
            "exact_bodies": "it hands bodies on as text, in which functions refuse U+FFFD",
            "iam": "functions have the rights of the emulator's owner",
            "gateway_responses": "those of the template are left out; it says in its own words that a route is not there (403)",
            "launcher": "the functions' code is what was built when it was started",
            "logs": "functions write to where it was started",
            "quiet_network": "each container brings one, and Chromium says ERR_NETWORK_CHANGED",
            "raw_bodies": "it decodes every body as UTF-8, and what is none is its 502",
            "raw_paths": "it decodes a path before it looks for the route",
            "refusals": "it says in its own words 401 to who has no token, and 403 to who has a bad one",
            "request_ids": "all calls have the id of its process",
            "streaming": "its answers come whole",
            "updates": "its containers have the variables and the code that the stack had when it was started",
            "user_agents": "it tells a text of its own of every program",
        }),
    )
}  # fmt: skip


def chosen() -> Target:
    """The target that EMULATOR names; the embedded platform when it names none.

    Raises LookupError for one that there is not.
    """
    name = os.environ.get("EMULATOR") or "embedded"
    if name not in TARGETS:
        raise LookupError(f"EMULATOR is {name!r}; there are {', '.join(TARGETS)}")
    return TARGETS[name]
