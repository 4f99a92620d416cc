"""An event that asks for a streamed answer gets one: SAM takes one spelling and ignores all others without a word."""

from __future__ import annotations

from tools.cfn_rules import _rule

# What SAM compares with, as text, before anything is resolved; and what it does anyway.
_UNDERSTOOD = ("RESPONSE_STREAM", "BUFFERED")


class TransferMode(_rule.Rule):
    """What API Gateway calls STREAM is RESPONSE_STREAM in SAM; STREAM, a reference or a condition makes it buffer."""

    id = "E9008"
    shortdesc = "ResponseTransferMode is written so that SAM understands it"
    description = "ResponseTransferMode of an Api event is RESPONSE_STREAM or BUFFERED, as plain text"
    tags = ("lambda", "apigateway")

    def problems(self, resources: _rule.Resources) -> _rule.Problems:
        """Events whose transfer mode SAM ignores."""
        for function, properties, path in _rule.functions(resources):
            for name, event in properties.get("Events", {}).items():
                mode = event.get("Properties", {}).get("ResponseTransferMode", "BUFFERED")
                if mode not in _UNDERSTOOD:
                    yield (
                        (*path, "Events", name, "Properties", "ResponseTransferMode"),
                        f"SAM ignores this and {function} answers in one piece: write RESPONSE_STREAM, as plain text",
                    )
