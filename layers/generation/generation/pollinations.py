"""Pictures by Pollinations: the supported host with a key, the keyless host without one."""

from collections.abc import Callable
from urllib.parse import quote, urlencode

from generation import media
from generation.http_client import HttpClient
from generation.providers import Artifact, Deadline, ImageRequest, PromptRefused, ProviderError

SUPPORTED_URL = "https://gen.pollinations.ai/image"
KEYLESS_URL = "https://image.pollinations.ai/prompt"
MOST_BYTES = 20 * 1024 * 1024
# Beyond about 8 KB the hosts' front door answers 400 or 431, which would pass for a refusal of the prompt.
LONGEST_URL = 8000
_REFUSALS = frozenset({400, 422})


def _no_key() -> str | None:
    return None


class Pollinations:
    """Asks Pollinations for a picture. The model is the caller's wish; a size that the service rounds is accepted.

    ``read_key`` is asked at each call, so that it may read, keep and renew the key as it likes. A key that is refused
    is a failure: the keyless host is not asked in its stead.
    """

    name = "pollinations"

    def __init__(
        self,
        read_key: Callable[[], str | None] = _no_key,
        *,
        supported_url: str = SUPPORTED_URL,
        keyless_url: str = KEYLESS_URL,
        http: HttpClient | None = None,
    ) -> None:
        self._read_key = read_key
        self._supported_url = supported_url
        self._keyless_url = keyless_url
        self._http = http or HttpClient()

    def generate(self, request: ImageRequest, deadline: Deadline) -> Artifact:
        """Make the picture. Raises ``PromptRefused`` for 400 and 422, ``ProviderError`` for all that is no picture."""
        key = (self._read_key() or "").strip()
        if not (key.isascii() and key.isprintable()):
            raise ProviderError("key not valid")
        url = _url(self._supported_url if key else self._keyless_url, request)
        headers = {"Accept": "image/*", "User-Agent": "llm-microservices"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        answer = self._http.send("GET", url, headers=headers, deadline=deadline, most_bytes=MOST_BYTES)
        if answer.status in _REFUSALS:
            raise PromptRefused(f"status {answer.status}")
        if answer.status != 200:
            raise ProviderError(f"status {answer.status}")
        image = media.image_type(answer.content)
        if image is None:
            raise ProviderError("not an image")
        return Artifact(answer.content, image.content_type, provider=self.name, model=request.model)


def _url(base: str, request: ImageRequest) -> str:
    """The address of the picture; raises ``ProviderError`` when the prompt does not fit into one."""
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
    url = f"{base}/{_segment(request.prompt)}?{query}"
    if len(url) > LONGEST_URL:
        raise ProviderError("prompt too long")
    return url


def _segment(prompt: str) -> str:
    """The prompt as one path segment (RFC 3986 §3.3)."""
    if prompt in (".", ".."):
        # Every parser on the way removes a dot segment, written %2E too; a space behind it changes nothing else.
        prompt += " "
    return quote(prompt, safe="", errors="replace")
