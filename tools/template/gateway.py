"""What the gateway answers where no function sees the request: name, status, slug, title, detail, further headers."""

RESPONSES: tuple[tuple[str, int, str, str, str, list[str]], ...] = (
    (
        "UNAUTHORIZED", 401, "unauthorized", "Unauthorized",
        "Send an access token: 'Authorization: Bearer <accessToken>'.",
        ["WWW-Authenticate: \"'Bearer'\""],
    ),
    # The authorizer denies a bad token; on AWS this response is for nothing else.
    (
        "ACCESS_DENIED", 401, "unauthorized", "Unauthorized",
        "The access token is not valid. Log in, or refresh it, and send the new one.",
        ["WWW-Authenticate: \"'Bearer error=\\\"invalid_token\\\"'\""],
    ),
    # What the gateway says of a route that does not exist, without and with an Authorization header.
    ("MISSING_AUTHENTICATION_TOKEN", 404, "not-found", "Not Found", "There is no such route.", []),
    ("INVALID_SIGNATURE", 404, "not-found", "Not Found", "There is no such route.", []),
    ("RESOURCE_NOT_FOUND", 404, "not-found", "Not Found", "There is no such route.", []),
    ("REQUEST_TOO_LARGE", 413, "payload-too-large", "Request Entity Too Large", "The body is too large.", []),
    (
        "THROTTLED", 429, "rate-limited", "Too Many Requests",
        "The platform is busy. Try again in a moment.",
        ["Retry-After: \"'1'\""],
    ),
    (
        "AUTHORIZER_FAILURE", 503, "unavailable", "Service Unavailable",
        "The access token could not be checked. Try again in a moment.",
        ["Retry-After: \"'2'\""],
    ),
    (
        "INTEGRATION_FAILURE", 503, "unavailable", "Service Unavailable",
        "A part of the platform did not answer. Try again in a moment.",
        ["Retry-After: \"'2'\""],
    ),
    (
        "INTEGRATION_TIMEOUT", 504, "timeout", "Gateway Timeout",
        "The platform did not answer in time. Try again in a moment.",
        [],
    ),
    ("DEFAULT_4XX", 400, "bad-request", "Bad Request", "The gateway does not accept this request.", []),
    (
        "DEFAULT_5XX", 500, "internal-error", "Internal Server Error",
        "Something went wrong on our side. Quote the requestId to support.",
        [],
    ),
)  # fmt: skip
