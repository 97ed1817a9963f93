"""
Every error that a caller can meet: its HTTP status, its code, and whether trying again can help.

One tree, few classes. The class says whose fault it is and hence the status; the code names the case. Messages
are ours: they name the field or setting, never a path, an address or another caller's data.
"""

import math
from http import HTTPStatus
from random import Random

# Every code by its status; the API's description and docs/behaviour.md have the same.
# fmt: off
CODES: dict[int, tuple[str, ...]] = {
    400: (
        "malformed_multipart", "missing_file", "duplicate_field", "unknown_parameter", "invalid_value",
        "unsupported_value", "too_many_parts", "audio_empty", "audio_unsupported", "audio_corrupt", "audio_no_stream",
        "audio_too_long", "audio_bad_layout", "audio_rejected", "model_not_capable",
        "input_audio_buffer_commit_empty", "input_audio_buffer_full", "session_expired",  # of live sessions
    ),
    401: ("invalid_api_key",),
    403: ("forbidden",),
    404: ("not_found", "model_not_found"),
    405: ("method_not_allowed",),
    408: ("request_timeout",),
    413: ("body_too_large",),
    415: ("unsupported_media_type",),
    429: ("rate_limit_exceeded", "concurrency_limit", "quota_exceeded"),
    431: ("headers_too_large",),
    500: ("internal_error",),
    502: ("upstream_failed",),
    503: ("overloaded", "no_worker", "draining", "storage_unavailable"),
    504: ("deadline_exceeded",),
}
# fmt: on

RETRY_AFTER_MIN_S, RETRY_AFTER_MAX_S = 1, 60  # the range that every known client honours


class FleetError(Exception):
    """An error with an answer; `status`, `type` and the default `code` belong to the class."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    type = "server_error"
    code = "internal_error"
    message = "Something went wrong on our side."

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
        should_retry: bool | None = None,
    ) -> None:
        self.message = message or self.message
        self.code = code or self.code
        self.param = param
        self.retry_after_s = retry_after_s
        self.should_retry = should_retry
        super().__init__(self.message)

    def to_json(self) -> dict[str, dict[str, str | None]]:
        """The OpenAI error envelope; all four keys are always there."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    @property
    def told_retry_after_s(self) -> int | None:
        """What the caller is told, 1..60: `retry_after_s` may be a day, or for ever."""
        if self.retry_after_s is None:
            return None
        return math.ceil(min(RETRY_AFTER_MAX_S, max(RETRY_AFTER_MIN_S, self.retry_after_s)))

    def headers(self) -> dict[str, str]:
        """Retry-After in whole seconds and the same in ms, where trying again can help."""
        headers = {}
        if (seconds := self.told_retry_after_s) is not None:
            headers["Retry-After"] = str(seconds)
            headers["retry-after-ms"] = str(seconds * 1000)
        if self.should_retry is not None:
            headers["x-should-retry"] = str(self.should_retry).lower()
        return headers


class BadRequest(FleetError):
    """What was sent cannot be used as it is."""

    status = HTTPStatus.BAD_REQUEST
    type = "invalid_request_error"
    code = "invalid_value"


class BadAudio(BadRequest):
    """The file part holds nothing that can be transcribed; codes start with `audio_`."""

    code = "audio_unsupported"
    message = (
        "Invalid file format. Supported formats: "
        "['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', 'oga', 'ogg', 'wav', 'webm']"
    )

    def __init__(self, message: str | None = None, *, code: str | None = None) -> None:
        super().__init__(message, code=code, param="file")


class AudioRejected(BadAudio):
    """Workers die of this body; no client should try it again."""

    code = "audio_rejected"
    message = "This audio makes transcription fail and was refused."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message)
        self.should_retry = False


class Unauthorized(BadRequest):
    """No key, or not one of ours."""

    status = HTTPStatus.UNAUTHORIZED
    code = "invalid_api_key"
    message = "Missing or incorrect API key."


class Forbidden(BadRequest):
    """The key is good, but not for this."""

    status = HTTPStatus.FORBIDDEN
    type = "permission_error"
    code = "forbidden"
    message = "This key may not do that."


class NotFound(BadRequest):
    """No such route, model, job or worker."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"
    message = "There is nothing at this address."


class MethodNotAllowed(BadRequest):
    """The route exists for another method."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "method_not_allowed"
    message = "This address does not take that method."


class RequestTimeout(BadRequest):
    """The body did not arrive in time."""

    status = HTTPStatus.REQUEST_TIMEOUT
    code = "request_timeout"
    message = "The request body did not arrive in time."


class BodyTooLarge(BadRequest):
    """More bytes than the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "body_too_large"


class UnsupportedMediaType(BadRequest):
    """Not multipart/form-data, or encoded in a way we do not undo."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_media_type"
    message = "Send the request as multipart/form-data without a Content-Encoding."


class HeadersTooLarge(BadRequest):
    """A line of the head is longer than any header that we read."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    code = "headers_too_large"
    message = "A line of the request's head is too long."


class RateLimited(FleetError):
    """The caller is over a limit of its own."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class UpstreamFailed(FleetError):
    """Every attempt on every worker that could be tried failed."""

    status = HTTPStatus.BAD_GATEWAY
    code = "upstream_failed"
    message = "The workers that were tried failed on this request."


class Unavailable(FleetError):
    """Our limit, not the caller's: full, empty, draining or out of space. Always says when to come back."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "overloaded"
    message = "Every worker is busy and the queue is full. Please retry later."

    def __init__(self, message: str | None = None, *, code: str | None = None, retry_after_s: float = 1.0) -> None:
        super().__init__(message, code=code, retry_after_s=retry_after_s)


class DeadlineExceeded(FleetError):
    """The caller's deadline passed, or cannot be met; a retry would meet the same queue."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    code = "deadline_exceeded"
    message = "The transcription could not be finished before the deadline."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message, should_retry=False)


def jittered(seconds: float, rng: Random) -> float:
    """Up to a tenth more, so that callers who were refused together do not return together."""
    return seconds * rng.uniform(1.0, 1.1)
