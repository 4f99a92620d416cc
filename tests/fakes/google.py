"""Google Translate's text-to-speech, as gTTS talks to it: one ``batchexecute`` call for each piece of text.

Beside the markers of ``tests.fakes.behaviour``:

    [[silent]]      an answer of the right form that has no sound in it
    [[noise]]       sound that is not MP3
    [[not-base64]]  sound that is not base64
    [[garbled]]     an answer whose payload is not a string
    [[consent]]     302 to the page that asks for consent
"""

import base64
import json
import ssl
from dataclasses import dataclass
from urllib.parse import parse_qs

from tests.fakes import media_samples
from tests.fakes.behaviour import HTML_PAGE, Marker, markers, misbehave
from tests.fakes.server import Exchange, FakeServer

_PATH = "/_/TranslateWebserverUi/data/batchexecute"
_RPC = "jQ1olc"
_LONGEST_TEXT = 100
_CONSENT_URL = "https://consent.google.com/ml?continue=https://translate.google.com/"


@dataclass(frozen=True)
class Spoken:
    """What one call asked for."""

    text: str
    language: str
    slow: bool


class FakeGoogleTranslate(FakeServer):
    """Speaks a tone for each piece of text."""

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(port=port, tls=tls)
        self.silent_about: str | None = None

    @property
    def spoken(self) -> list[Spoken]:
        """What it has been asked to say, in the order of arrival."""
        return [_read(request.body) for request in self.requests]

    def answer(self, exchange: Exchange) -> None:
        """Speak the text, unless a marker in it is against it."""
        if exchange.method != "POST" or exchange.target != _PATH:
            exchange.send(404, "text/html", HTML_PAGE)
            return
        asked = _read(exchange.body.decode())
        if len(asked.text) > _LONGEST_TEXT or asked.text == self.silent_about:
            exchange.send(200, "application/json", _envelope(None))
            return
        sound = media_samples.speech(asked.text, slow=asked.slow)
        content = _envelope(json.dumps([base64.b64encode(sound).decode()]))
        wishes = markers(f"[[{exchange.scripted}]]" if exchange.scripted else asked.text)
        if not any(_act(exchange, wish, content) for wish in wishes):
            exchange.send(200, "application/json", content)


def _act(exchange: Exchange, wish: Marker, content: bytes) -> bool:
    match wish.name:
        case "slow":
            exchange.pause(float(wish.argument))
            return False
        case "silent":
            exchange.send(200, "application/json", _envelope(None))
        case "noise":
            exchange.send(200, "application/json", _envelope(json.dumps([base64.b64encode(b"noise" * 99).decode()])))
        case "not-base64":
            exchange.send(200, "application/json", _envelope(json.dumps(["*" * 400])))
        case "garbled":
            exchange.send(200, "application/json", _envelope('{"audio": "later"}'))
        case "consent":
            exchange.send(302, "text/html", HTML_PAGE, {"Location": _CONSENT_URL})
        case _:
            return misbehave(exchange, wish, "application/json", content)
    return True


def _envelope(payload: str | None) -> bytes:
    """The form of ``batchexecute``: a line against JSON hijacking, a length, and rows over several lines."""
    row = json.dumps(["wrb.fr", _RPC, payload, None, None, None, "generic"], separators=(",", ":"))
    # Google escapes the padding of base64.
    rows = f'[{row}\n,["di",56]\n,["af.httprm",56,"123",7]\n]\n'.replace("=", "\\u003d")
    return f')]}}\'\n\n{len(rows)}\n{rows}25\n[["e",4,null,null,142]]\n'.encode()


def _read(body: str) -> Spoken:
    [[[rpc, parameters, *_]]] = json.loads(parse_qs(body)["f.req"][0])
    if rpc != _RPC:
        raise ValueError(f"not a call of text-to-speech: {rpc}")
    text, language, speed, *_ = json.loads(parameters)
    return Spoken(text, language, bool(speed))
