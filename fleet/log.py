"""
Log lines: text on a terminal, JSON elsewhere. The request id rides along in a context variable.

Nothing here logs a key. Should one come in all the same, from a library or in a traceback, it is struck out of the
finished line.
"""

import json
import logging
import re
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from fleet.log_writer import LineWriter

request_id: ContextVar[str] = ContextVar("request_id", default="")

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
ENCODE = json.JSONEncoder(default=str).encode  # json.dumps makes an encoder for every call that names a default
STRUCK_OUT = "[key]"
KEYS = r"\bsk-[A-Za-z0-9_-]{8,}|(?<=[Bb]earer )[^\s\"',]+"  # a key's look, and wherever one is sent
SECRET_LENGTH_MIN = 6  # what is shorter would be found in words


def set_up(level: str, form: str, *, secrets: Sequence[str | None] = ()) -> None:
    """
    Send all logs to stderr. `form` is `text`, `json`, or `auto`: text on a terminal.

    `secrets` are struck out of every line, beside whatever looks like a key.
    """
    is_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler = LineWriter(sys.stderr.fileno())
    handler.setFormatter(Discreet(TextFormatter() if is_text else JsonFormatter(), secrets))
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # asked of the system for every line
    logging._srcfile = None  # documented: no walk up the stack for a file name nobody prints
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("faster_whisper").setLevel(logging.WARNING)  # it logs durations of every clip at INFO


def extras(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra=`, and the request id of the task that logs."""
    given = {name: value for name, value in vars(record).items() if name not in STANDARD}
    if request_id.get():
        given.setdefault("request_id", request_id.get())
    return given


class Discreet(logging.Formatter):
    """Another formatter's lines without keys and secrets."""

    def __init__(self, inner: logging.Formatter, secrets: Sequence[str | None] = ()) -> None:
        super().__init__()
        self._inner = inner
        spelled = {spelling for secret in secrets for spelling in (secret or "", ENCODE(secret or "")[1:-1])}
        exact = sorted((one for one in spelled if len(one) >= SECRET_LENGTH_MIN), key=len, reverse=True)
        self._hints = ("sk-", "earer ", *exact)  # finding none of these is ten times as fast as the expression
        self._keys = re.compile("|".join([*map(re.escape, exact), KEYS]))

    def format(self, record: logging.LogRecord) -> str:
        """Render a record."""
        line = self._inner.format(record)
        return self._keys.sub(STRUCK_OUT, line) if any(hint in line for hint in self._hints) else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record; extras stand beside the message."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **extras(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return ENCODE(line)


class TextFormatter(logging.Formatter):
    """`12:00:00 info    router: worker ready  worker=w1`."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record; extras follow the message."""
        clock = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        given = "".join(f"  {name}={value}" for name, value in extras(record).items())
        line = f"{clock} {record.levelname.lower():7} {record.name}: {record.getMessage()}{given}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
