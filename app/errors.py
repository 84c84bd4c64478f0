"""Every refusal, and the one JSON shape of them all: {"error": "one sentence", "details": ...}."""

from typing import Any


class ApiError(Exception):
    """A refusal that the client is told about; subclasses fix the HTTP status."""

    status = 500
    # What the client should wait for before it sends the same again, seconds; None: sending again is no use.
    retry_after: int | None = None

    def __init__(self, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def body(self) -> dict[str, Any]:
        """The answer's JSON."""
        return {"error": self.message, "details": self.details}

    def headers(self) -> dict[str, str]:
        """Headers beyond the usual ones."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class BadRequest(ApiError):
    """The body is not JSON, or not of the shape that the route takes."""

    status = 400


class Unauthorized(ApiError):
    """No key was sent."""

    status = 401


class Forbidden(ApiError):
    """The key is unknown, revoked or expired, or may not do this."""

    status = 403


class TooLarge(ApiError):
    """The body, or a part of it, is over its limit."""

    status = 413


class UnsupportedMediaType(ApiError):
    """The body's type or encoding is none that the route takes."""

    status = 415


class Unavailable(ApiError):
    """Nothing was stored, and the same request may succeed soon."""

    status = 503
    retry_after = 2
