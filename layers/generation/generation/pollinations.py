"""Pictures by Pollinations: the supported host with a key, the keyless host without one."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Self
from urllib.parse import quote, urlencode, urljoin

from core.errors import FieldError
from core.settings import READ_SECRET, Setting
from generation import media, prices
from generation.http_client import Answer, HttpClient
from generation.pictures import ImageRequest
from generation.providers import Artifact, Deadline, PromptRefused, ProviderError

SUPPORTED_URL = "https://gen.pollinations.ai/image"
KEYLESS_URL = "https://image.pollinations.ai/prompt"
KEY = Setting(
    "PollinationsSecretArn", "ARN of the secret with the key of Pollinations; empty for none.", grants=READ_SECRET
)
HOST = Setting("PollinationsUrl", "Where pictures are asked for with a key.", SUPPORTED_URL)
KEYLESS_HOST = Setting("PollinationsKeylessUrl", "Where pictures are asked for without a key.", KEYLESS_URL)
# Beside the supported host's /image; its body is OpenAI's.
_POST_PATH = "v1/images/generations"
MOST_BYTES = 20 * 1024 * 1024
_MOST_BYTES_AS_JSON = MOST_BYTES * 4 // 3 + 64 * 1024  # base64, and what stands beside it
# Beyond about 8 KB the hosts' front door answers 400 or 431, which would pass for a refusal of the prompt.
LONGEST_URL = 8000
_REFUSALS = frozenset({400, 422})


class Pollinations:
    """Asks Pollinations for a picture. The model is the caller's wish; a size that the service rounds is accepted.

    Both hosts have the prompt in the address of a GET. A prompt that is too long for an address goes to the supported
    host in the body of a POST, which the keyless host does not have.

    ``read_key`` is asked at each call, so that it may read, keep and renew the key as it likes; None is for who has no
    key. A key that is refused is a failure: the keyless host is not asked in its stead.
    """

    name = "pollinations"
    settings = (KEY, HOST, KEYLESS_HOST, prices.PRICES)

    def __init__(
        self,
        read_key: Callable[[], str | None] | None = None,
        *,
        supported_url: str = SUPPORTED_URL,
        keyless_url: str = KEYLESS_URL,
        http: HttpClient | None = None,
    ) -> None:
        self._read_key = read_key
        self._supported_url = supported_url.rstrip("/")
        self._keyless_url = keyless_url.rstrip("/")
        self._http = http or HttpClient()

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """With its settings; without a secret the keyless host is asked."""
        arn = KEY.read(environ)
        read_key: Callable[[], str] | None = None
        if arn:
            from generation.api_key import ApiKey  # only who has a key reads a secret

            read_key = ApiKey(arn)
        return cls(
            read_key,
            supported_url=HOST.read(environ),
            keyless_url=KEYLESS_HOST.read(environ),
        )

    def refuses(self, request: ImageRequest) -> FieldError | None:
        """A prompt that is too long for the address, where no key opens the way to the POST."""
        return None if self._read_key else _too_long(self._keyless_url, request)

    def generate(self, request: ImageRequest, deadline: Deadline) -> Artifact:
        """Make the picture. Raises ``PromptRefused`` for 400 and 422, ``ProviderError`` for all that is no picture."""
        key = (self._read_key() or "").strip() if self._read_key else ""
        if not (key.isascii() and key.isprintable()):
            raise ProviderError("key not valid")
        base = self._supported_url if key else self._keyless_url
        if _too_long(base, request) is None:
            content = self._get(base, request, key, deadline)
        elif key:
            content = self._post(request, key, deadline)
        else:  # the key was configured, and is empty
            raise ProviderError("prompt too long")
        image = media.image_type(content)
        if image is None:
            raise ProviderError("not an image")
        # The keyless host costs nothing.
        cost = prices.usd(self.name, request.model, pictures=1) if key else 0.0
        return Artifact(content, image.content_type, provider=self.name, model=request.model, cost_usd=cost)

    def _get(self, base: str, request: ImageRequest, key: str, deadline: Deadline) -> bytes:
        headers = _headers(key) | {"Accept": "image/*"}
        return _content(
            self._http.send("GET", _url(base, request), headers=headers, deadline=deadline, most_bytes=MOST_BYTES)
        )

    def _post(self, request: ImageRequest, key: str, deadline: Deadline) -> bytes:
        body = {
            "prompt": _encodable(request.prompt),
            "model": request.model,
            "n": 1,
            "size": f"{request.width}x{request.height}",
            "response_format": "b64_json",
            # The host's own, as in the address.
            "seed": request.seed,
            "nologo": True,
            "private": True,
        }
        content = _content(
            self._http.send(
                "POST",
                urljoin(self._supported_url, _POST_PATH),
                headers=_headers(key) | {"Accept": "application/json", "Content-Type": "application/json"},
                body=json.dumps(body),
                deadline=deadline,
                most_bytes=_MOST_BYTES_AS_JSON,
            )
        )
        try:
            return base64.b64decode(json.loads(content)["data"][0]["b64_json"], validate=True)
        except (ValueError, TypeError, LookupError, RecursionError, binascii.Error):
            raise ProviderError("not an image") from None


def _headers(key: str) -> dict[str, str]:
    return {"User-Agent": "llm-microservices"} | ({"Authorization": f"Bearer {key}"} if key else {})


def _content(answer: Answer) -> bytes:
    """The body of a good answer. Raises ``PromptRefused``, ``ProviderError``."""
    if answer.status in _REFUSALS:
        raise PromptRefused(f"status {answer.status}")
    if answer.status != 200:
        raise ProviderError(f"status {answer.status}")
    return answer.content


def _too_long(base: str, request: ImageRequest) -> FieldError | None:
    """What is wrong with a prompt that does not fit into the address, in the bytes that it takes there."""
    over = len(_url(base, request)) - LONGEST_URL
    if over <= 0:
        return None
    taken = len(_segment(request.prompt))
    return FieldError(
        "prompt",
        f"Must be at most {taken - over} bytes long in an address, where this one takes {taken}: a letter or digit of "
        "ASCII takes 1, any other character 3 for each of its bytes in UTF-8.",
    )


def _url(base: str, request: ImageRequest) -> str:
    """The address of the picture."""
    query = urlencode(
        {
            "model": request.model,
            "width": request.width,
            "height": request.height,
            "seed": request.seed,
            "nologo": "true",
            "private": "true",  # keeps the prompt out of the public feed
        }
    )
    return f"{base}/{_segment(request.prompt)}?{query}"


def _segment(prompt: str) -> str:
    """The prompt as one path segment (RFC 3986 §3.3)."""
    if prompt in (".", ".."):
        # Every parser on the way removes a dot segment, written %2E too; a space behind it changes nothing else.
        prompt += " "
    return quote(_encodable(prompt), safe="")


def _encodable(prompt: str) -> str:
    """The prompt without halves of surrogate pairs, which UTF-8 does not have."""
    return prompt.encode(errors="replace").decode()
