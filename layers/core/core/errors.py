"""The errors that a caller of the API can see, each with its HTTP status.

A layer raises the most specific of them and lets it travel; ``core.http`` turns it into
RFC 9457 problem details in one place. ``detail`` is written for the caller: it says what to
do and never holds a secret, SQL, or another user's data.

    ProblemError
    ├── BadRequest            400
    ├── Unauthorized          401
    ├── Forbidden             403
    ├── NotFound              404
    ├── MethodNotAllowed      405
    ├── Conflict              409
    ├── PayloadTooLarge       413
    ├── Unprocessable         422
    ├── TooManyRequests       429
    ├── BadGateway            502
    ├── ServiceUnavailable    503
    └── GatewayTimeout        504
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import ClassVar, NamedTuple


class FieldError(NamedTuple):
    """What is wrong with one field of the request; ``field`` is a dotted path, ``""`` for the body."""

    field: str
    message: str


class ProblemError(Exception):
    """An error with a status and its title, a stable slug for its ``type``, and a detail for the caller.

    The title is the API's own: the words of ``HTTPStatus`` change from one Python to the next. ``members`` are
    extension members of the problem details (RFC 9457 §3.2).
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    title: ClassVar[str] = "Internal Server Error"
    slug: ClassVar[str] = "internal-error"

    def __init__(
        self,
        detail: str,
        *,
        slug: str | None = None,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[FieldError] = (),
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.type = f"urn:llm-microservices:problem:{slug or self.slug}"
        self.headers = dict(headers or {})
        self.errors = tuple(errors)
        self.members = dict(members or {})


class BadRequest(ProblemError):
    """The body is not JSON."""

    status = HTTPStatus.BAD_REQUEST
    title = "Bad Request"
    slug = "bad-request"


class Unauthorized(ProblemError):
    """401 with the challenge of RFC 6750 §3: ``error="invalid_token"`` only when a token was sent."""

    status = HTTPStatus.UNAUTHORIZED
    title = "Unauthorized"
    slug = "unauthorized"

    def __init__(self, detail: str, *, token_sent: bool = False) -> None:
        challenge = 'Bearer error="invalid_token"' if token_sent else "Bearer"
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class Forbidden(ProblemError):
    """The caller is known, but not allowed."""

    status = HTTPStatus.FORBIDDEN
    title = "Forbidden"
    slug = "forbidden"


class NotFound(ProblemError):
    """There is no such thing, or it is not the caller's."""

    status = HTTPStatus.NOT_FOUND
    title = "Not Found"
    slug = "not-found"


class MethodNotAllowed(ProblemError):
    """The path does not have this method; ``Allow`` names those that it has (RFC 9110 §15.5.6)."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    title = "Method Not Allowed"
    slug = "method-not-allowed"

    def __init__(self, detail: str, *, allow: Sequence[str]) -> None:
        super().__init__(detail, headers={"Allow": ", ".join(allow)})


class Conflict(ProblemError):
    """It is taken."""

    status = HTTPStatus.CONFLICT
    title = "Conflict"
    slug = "conflict"


class PayloadTooLarge(ProblemError):
    """The body is too large."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "Request Entity Too Large"
    slug = "payload-too-large"


class Unprocessable(ProblemError):
    """JSON, but not valid; ``errors`` says where."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Unprocessable Entity"
    slug = "validation-failed"


class _RetryLater(ProblemError):
    """An error that passes: ``Retry-After`` says in how many seconds to try again."""

    def __init__(
        self, detail: str, *, retry_after: int, slug: str | None = None, members: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(detail, slug=slug, headers={"Retry-After": str(retry_after)}, members=members)


class TooManyRequests(_RetryLater):
    """The caller is over a limit."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    title = "Too Many Requests"
    slug = "rate-limited"


class ServiceUnavailable(_RetryLater):
    """A part of ours is down."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Service Unavailable"
    slug = "unavailable"


class BadGateway(ProblemError):
    """The provider failed."""

    status = HTTPStatus.BAD_GATEWAY
    title = "Bad Gateway"
    slug = "provider-failed"


class GatewayTimeout(ProblemError):
    """The provider did not answer in time."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    title = "Gateway Timeout"
    slug = "provider-timeout"
