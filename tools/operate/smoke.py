"""Call one part of a running API and print what is sent and what comes back, tokens shortened."""

from __future__ import annotations

import json
import re
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from localstack import services
from localstack.console import CommandFailed

if TYPE_CHECKING:
    from generation.services import Service

PASSWORD = "password123"  # noqa: S105  of throw-away accounts
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+|(?<=Token\": \")[\w-]{24,}")
SHOWN = 1500


def shortened(text: str) -> str:
    """The text with its tokens cut to their first characters."""
    return _TOKEN.sub(lambda match: match[0][:12] + "…", text)


@dataclass(frozen=True)
class Answer:
    """A status and a JSON body (or text)."""

    status: int
    body: Any


class Caller:
    """Calls one API and prints each exchange."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.token: str | None = None

    def call(self, expected: int, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        """Call, print, and compare the status.

        Raises CommandFailed when the status is another one.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = json.dumps(body).encode() if body is not None else None
        print(f"\n> {method} {path}" + (f"\n> {shortened(json.dumps(body))}" if body is not None else ""))
        for name, value in headers.items():
            print(f"> {name}: {shortened(value)}")
        answer = self._send(method, path, data, headers)
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body, indent=2, ensure_ascii=False)
        print(f"< {answer.status}")
        if text:
            print("\n".join(f"< {entry}" for entry in shortened(text)[:SHOWN].splitlines()))
        if answer.status != expected:
            raise CommandFailed(f"{method} {path}", f"status {answer.status}, not {expected}", "read `make logs`")
        return answer

    def _send(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> Answer:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)  # noqa: S310
        try:
            with opener.open(request, timeout=120) as response:
                status, raw = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, raw = error.code, error.read()
        try:
            return Answer(status, json.loads(raw) if raw else "")
        except ValueError:
            return Answer(status, raw.decode(errors="replace"))

    def register(self) -> dict[str, Any]:
        """Register a new account and use its token from now on; the answer's body."""
        email = f"smoke-{secrets.token_hex(4)}@example.com"
        body: dict[str, Any] = self.call(201, "POST", "/auth/register", {"email": email, "password": PASSWORD}).body
        self.token = body["accessToken"]
        return body


def auth(caller: Caller) -> None:
    """Register, login, refresh, logout, keys."""
    account = caller.register()
    email = account["user"]["email"]
    caller.token = None
    caller.call(409, "POST", "/auth/register", {"email": email.upper(), "password": PASSWORD})
    caller.call(401, "POST", "/auth/login", {"email": email, "password": "not-the-password"})
    tokens = caller.call(200, "POST", "/auth/login", {"email": email, "password": PASSWORD}).body
    tokens = caller.call(200, "POST", "/auth/refresh", {"refreshToken": tokens["refreshToken"]}).body
    caller.call(204, "POST", "/auth/logout", {"refreshToken": tokens["refreshToken"]})
    caller.call(401, "POST", "/auth/refresh", {"refreshToken": tokens["refreshToken"]})
    caller.call(200, "GET", "/.well-known/jwks.json")


def generation(service: Service, caller: Caller) -> None:
    """Generate what the service's sample says, with an account and without one; read it back, list it."""
    body = dict(service.sample)
    anonymous = caller.call(201, "POST", f"/{service.name}/generate", body).body
    caller.call(200, "GET", anonymous["links"]["self"])
    caller.register()
    made = caller.call(201, "POST", f"/{service.name}/generate", body).body
    caller.call(200, "GET", made["links"]["download"])
    caller.call(200, "GET", f"/admin/{service.plural}?limit=5")
    caller.token = None
    caller.call(404, "GET", made["links"]["self"])


def protected(caller: Caller) -> None:
    """Protected routes, without a token, with a bad one, with a good one."""
    paths = ["/users/me", *(f"/admin/{service.plural}" for service in services.generating())]
    for path in paths:
        caller.token = None
        caller.call(401, "GET", path)
        caller.token = "not.a.token"  # noqa: S105
        caller.call(401, "GET", path)
    caller.token = None
    caller.register()
    for path in paths:
        caller.call(200, "GET", path)


def parts() -> Mapping[str, Callable[[Caller], None]]:
    """What can be called, by its name: accounts, protected routes, and each generating service by all its names."""
    return {"auth": auth, "protected": protected} | {
        name: partial(generation, service)
        for service in services.generating()
        for name in (service.name, *service.aliases)
    }


def run(api_url: str, part: str) -> None:
    """Make the calls of one part.

    Raises CommandFailed at the first status that is not the documented one.
    """
    parts()[part](Caller(api_url))
    print(f"\n  {part}: every answer as documented")
