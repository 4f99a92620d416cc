"""What schemathesis asks of us; it runs in the fuzzer's own environment.

The checks hold answers against the schema, and there are rules that no schema can say: a signature, the order of two
values, bytes in UTF-8. What they call a failure is let pass only where such a rule makes it the right answer to the very
request.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.openapi.checks import RejectedPositiveData

DESCRIPTION = json.loads((Path(__file__).parents[2] / "functions/ops/openapi.json").read_text())


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
    """Whether a failure counts."""
    if isinstance(failure, RejectedPositiveData) and response.status_code == 422:
        return not is_rightly_refused(response.json(), case)
    if isinstance(failure, AcceptedNegativeData):
        return not is_rightly_accepted(failure.message, case)
    return True


def is_rightly_refused(problem: Mapping[str, Any], case: Case) -> bool:
    """Whether all that is wrong with a request is wrong by a rule beyond the schema."""
    if problem["type"].endswith("idempotency-key-reused"):
        return "Idempotency-Key" in (case.headers or {})
    if problem["type"].endswith("prompt-refused"):  # by a provider: there is nothing to draw or to say
        return True
    fields = [error["field"] for error in problem.get("errors", [])]
    return bool(fields) and all(is_beyond_the_schema(field, case.query or {}, case.body) for field in fields)


def is_rightly_accepted(message: str, case: Case) -> bool:
    """Whether the schema says more than is meant.

    What is not known in a query is ignored, as the description says; the check knows that, but not where another value
    is a number. A prompt is measured without the white space at its ends. A password is as long as the bytes of its normal
    form, where each of the patterns goes by the widest character. And an email may be of letters that its pattern leaves
    out.
    """
    if message.endswith("in query - object with unexpected properties"):
        return True
    if "`maxLength` at /properties/prompt" in message and isinstance(case.body, Mapping):
        prompt = case.body.get("prompt")
        return isinstance(prompt, str) and len(prompt.strip()) <= longest_prompt(case.path)
    if "/properties/email/" in message and isinstance(case.body, Mapping):
        email = case.body.get("email")
        return isinstance(email, str) and not email.strip().isascii()
    if "anyOf" not in message and "`maxLength`" not in message:
        return False
    found = re.search(r"/properties/(\w*[pP]assword)", message)
    password = case.body.get(found[1]) if found and isinstance(case.body, Mapping) else None
    return isinstance(password, str) and fits(password) and not re.search("[\0\ufffd]", password)


def longest_prompt(path: str) -> int:
    """The characters that a generating route's prompt may have."""
    body = DESCRIPTION["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = DESCRIPTION["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    return int(schema["properties"]["prompt"]["maxLength"])


def is_beyond_the_schema(field: str, query: Mapping[str, Any], body: Any) -> bool:
    """Whether a field of a request that fits the schema is wrong all the same."""
    match field:
        case "cursor":  # only one that was signed for this history is good
            return "cursor" in query
        case "from":
            return str(query.get("from", "")) > str(query.get("to", "~"))
        case "email":  # its length in bytes, and what IDNA says of domains
            return not body["email"].isascii() or bool(re.search(r"[@.]..--", body["email"]))
        case "password":
            return not fits(body["password"])
        case "newPassword":
            new, current = normal_form(body["newPassword"]), normal_form(body["currentPassword"])
            return new == current or not fits(new)
    return False


def fits(password: str) -> bool:
    """Whether the normal form of a password, which no schema can measure, is as long as a chosen one has to be."""
    return len(normal_form(password)) >= 8 and len(normal_form(password).encode()) <= 72


def normal_form(password: str) -> str:
    """The password as RFC 8265's OpaqueString has it."""
    return unicodedata.normalize("NFC", re.sub(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]", " ", password))
