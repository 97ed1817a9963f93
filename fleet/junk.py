"""Of what strangers send that is no HTTP: a line a minute in the log, not a traceback for each."""

import logging
import time
from collections.abc import Callable

from aiohttp.http_exceptions import HttpProcessingError

EVERY_S = 60


class Junk(logging.Filter):
    """Put on the server's own logger. State: when the next line may be, and how many were left out since the last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._next_at = clock()
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written; one that is about anything else is, and as it is."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            return True
        if self._clock() < self._next_at:
            self._left_out += 1
            return False
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args, record.exc_info = "a request that is not HTTP", (), None
        record.left_out, self._left_out = self._left_out, 0
        self._next_at = self._clock() + EVERY_S
        return True
