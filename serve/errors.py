"""What is wrong with a request, as clients of OpenAI's interface are told: one object, one status (ours)."""

from typing import Any, ClassVar


class RequestError(ValueError):
    """A request that is not answered; `status` is HTTP's, `param` names the field that is wrong where one is."""

    status: ClassVar[int] = 400
    kind: ClassVar[str] = "invalid_request_error"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message, self.param, self.code = message, param, code

    @property
    def headers(self) -> dict[str, str]:
        """Of the response."""
        return {}

    def body(self) -> dict[str, Any]:
        """OpenAI's error object."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


class NoSuchKey(RequestError):
    """The API key is missing or none of ours."""

    status, kind = 401, "authentication_error"

    @property
    def headers(self) -> dict[str, str]:
        """How to send one."""
        return {"WWW-Authenticate": "Bearer"}


class Forbidden(RequestError):
    """A Host, an Origin or an address that is not allowed."""

    status, kind = 403, "permission_error"


class NotThere(RequestError):
    """No such model, file or page."""

    status, kind = 404, "not_found_error"


class TooSlow(RequestError):
    """The client did not send its request in time."""

    status, kind = 408, "timeout_error"

    @property
    def headers(self) -> dict[str, str]:
        """The rest of the request, which may never come, is not waited for."""
        return {"Connection": "close"}


class TooLarge(RequestError):
    """More bytes, seconds or frames than are taken."""

    status = 413


class Encoded(RequestError):
    """A body that is compressed, which could be small and fill the memory."""

    status = 415


class BadVideo(RequestError):
    """A video that cannot be decoded, or not shown to the model."""

    status = 422


class Busy(RequestError):
    """The queue is full; `retry_after` in seconds."""

    status, kind = 429, "rate_limit_error"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message, code="queue_full")
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class Stopping(RequestError):
    """The server is being stopped, and ends what is in work."""

    status, kind = 503, "server_error"

    def __init__(self) -> None:
        super().__init__("the server is being stopped: ask again when it is back", code="stopping")


class DiskFull(RequestError):
    """The server's own disk is full; what is wrong with it, the log says."""

    status, kind = 507, "server_error"

    def __init__(self) -> None:
        super().__init__("the server's disk is full: its operator must make room", code="disk_full")


class Unreachable(RequestError):
    """A server that we ask in turn, an upstream or a video's, is unavailable or broke off."""

    status, kind = 503, "upstream_error"
