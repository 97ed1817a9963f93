"""
Who had how much transcribed: one JSON line a request, in a stream of its own (AUDIT_LOG; off by default).

Never text, audio, prompt, field or file name. The address is not in it either: behind a proxy it says nothing, and
elsewhere it is one more thing about people to be kept.
"""

from __future__ import annotations

import io
import json
import logging
import logging.handlers
import os
import sys
from datetime import UTC, datetime

from router.caller import Caller
from router.ledger import Finished


class Audit:
    """Writes the lines. Other logs neither get them nor get into them."""

    def __init__(self, handler: logging.Handler) -> None:
        self._handler = handler

    @classmethod
    def at(cls, path: str) -> Audit:
        """A file, opened anew when it is moved away; `-` is stdout. Raises OSError."""
        return cls(logging.StreamHandler(sys.stdout) if path == "-" else _OwnersFile(path, encoding="utf-8"))

    def note(self, caller: Caller, key_name: str, finished: Finished) -> None:
        """A request has ended."""
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "key_id": caller.tenant,
            "key_name": key_name,
            "request_id": caller.request_id,
            "route": caller.door,
            "audio_s": round(finished.charged_s, 2),
            "status": int(finished.status),
            "outcome": finished.code,
        }
        self._handler.handle(logging.LogRecord("audit", logging.INFO, "", 0, json.dumps(line), None, None))

    def close(self) -> None:
        """No line comes after this."""
        self._handler.close()


class _OwnersFile(logging.handlers.WatchedFileHandler):
    """Readable by its owner alone from the first byte on."""

    def _open(self) -> io.TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return io.TextIOWrapper(os.fdopen(handle, "ab"), encoding=self.encoding)
