"""What a fake does with a request when a marker in the prompt says so; what every provider can do on a bad day.

    [[status:503]]     that status, with a JSON error
    [[html]]           200 with an HTML page            [[json]]      200 with a JSON error
    [[redirect:URL]]   302 to the URL
    [[truncate]]       200 with the first half of the real answer, in perfect HTTP
    [[break]]          200 that announces the whole answer and stops in its middle
    [[huge]]           200 that announces 40 MB         [[endless]]   200 that announces nothing and never ends
    [[drip]]           200, then a byte now and then    [[drip-headers]]   the same in the headers
    [[drip-close]]     as drip, on a connection that is to be closed
    [[hang]]           no answer at all                 [[slow:0.5]]  the right answer after that many seconds
    [[reset]]          the connection is reset          [[reset-reused]]   reset only when it has served before

``slow`` may stand before another marker; of the rest the first one counts.
"""

import json
import re
import socket
import struct
from typing import NamedTuple
from urllib.parse import unquote

from tests.fakes.server import Exchange

_MARKER = re.compile(r"\[\[([a-z0-9-]+)(?::([^\]]+))?\]\]")
_HUGE_BYTES = 40 * 1024 * 1024
_BLOCK = b"\0" * 65536
_DRIP_SECONDS = 0.05
HTML_PAGE = b"<!DOCTYPE html><html><head><title>Before you continue</title></head><body>Cookies?</body></html>"


class Marker(NamedTuple):
    """A behaviour by name, with its argument or ``""``."""

    name: str
    argument: str


def markers(prompt: str) -> list[Marker]:
    """The markers of a prompt, in order."""
    return [Marker(name, unquote(argument)) for name, argument in _MARKER.findall(prompt)]


def misbehave(exchange: Exchange, marker: Marker, content_type: str, content: bytes) -> bool:
    """Do what the marker says with what would have been the answer; False when it says nothing that all fakes know."""
    match marker.name:
        case "status":
            send_error(exchange, int(marker.argument), "a bad day")
        case "html":
            exchange.send(200, "text/html", HTML_PAGE)
        case "json":
            exchange.send(200, "application/json", json.dumps({"error": "no image"}).encode())
        case "redirect":
            exchange.send(302, "text/html", HTML_PAGE, {"Location": marker.argument})
        case "truncate":
            exchange.send(200, content_type, content[: len(content) // 2])
        case "break":
            exchange.start(200, content_type, len(content))
            exchange.write(content[: len(content) // 2])
            exchange.drop()
        case "huge":
            exchange.start(200, content_type, _HUGE_BYTES)
            exchange.write(content)
            exchange.drop()
        case "endless":
            exchange.start(200, content_type, None)
            while exchange.write(_BLOCK):
                pass
            exchange.drop()
        case "drip" | "drip-close":
            exchange.start(200, content_type, len(content), {"Connection": "close"} if marker.name != "drip" else {})
            _drip(exchange, content)
        case "drip-headers":
            _drip(exchange, b"HTTP/1.1 200 OK\r\nX-Slow: " + b"z" * 10_000)
        case "hang":
            exchange.pause(None)
            exchange.drop()
        case "reset":
            reset(exchange)
        case "reset-reused" if exchange.requests_on_connection > 1:
            reset(exchange)
        case _:
            return False
    return True


def send_error(exchange: Exchange, status: int, message: str) -> None:
    """An error as JSON, as the image hosts write it."""
    content = json.dumps({"success": False, "error": {"message": message}, "status": status}).encode()
    exchange.send(status, "application/json", content)


def reset(exchange: Exchange) -> None:
    """Make the kernel send RST instead of FIN."""
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.drop()


def _drip(exchange: Exchange, content: bytes) -> None:
    for position in range(len(content)):
        if exchange.pause(_DRIP_SECONDS) or not exchange.write(content[position : position + 1]):
            break
    exchange.drop()
