"""
Hands log lines to a thread that writes them: a full disk or a pipe that nobody reads stops the log, not the service.

A line is made where it is logged, since only there its request is known; only the writing waits. Past a limit lines are
dropped, and how many is said when there is room again. Lines are gathered for a moment: to wake a thread for each costs
more than the line.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue

LINES_MAX = 10_000  # some 3 MB, and half a minute of a busy router
GATHER_S = 0.1  # a process that is killed loses what was logged in that time
WRITE_BYTES = 4096  # PIPE_BUF on Linux: what is no longer is not mixed with what others write into the same pipe
FLUSH_WITHIN_S = 1  # at the end of the process


class LineWriter(logging.Handler):
    """
    Writes to a file descriptor. State: the lines that wait, and counts, each written by one side alone.

    Not through a buffered file: a thread that is stuck in one holds its lock, and then no process ends in peace.
    """

    def __init__(self, descriptor: int, *, lines_max: int = LINES_MAX) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines_max = lines_max
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._taken = self._refused = 0  # by who logs: logging holds this handler's lock
        self._done = self._failed = self._told = 0  # by the thread
        threading.Thread(target=self._write, name="log", daemon=True).start()

    @property
    def dropped(self) -> int:
        """Lines that nobody will read: too many waited, or writing failed."""
        return self._refused + self._failed

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line, or drop it; never wait, never raise."""
        if self._lines.qsize() >= self._lines_max:
            self._refused += 1
            return
        try:
            line = self.format(record)
        except Exception:  # as every handler does: a call with wrong arguments costs a line, not a request
            self.handleError(record)
            return
        self._taken += 1
        self._lines.put(f"{line}\n")

    def flush(self) -> None:
        """Wait a moment for what was taken, as logging does at the end."""
        deadline = time.monotonic() + FLUSH_WITHIN_S
        while self._done < self._taken and time.monotonic() < deadline:
            time.sleep(0.005)

    def _write(self) -> None:
        while True:
            first = self._lines.get()
            time.sleep(GATHER_S)
            for lines in self._batches(first):
                self._write_lines(lines)

    def _batches(self, line: str) -> Iterator[list[bytes]]:
        """This line and all that wait behind it, as much at a time as a pipe takes in one piece."""
        batch = [line.encode(errors="replace")]
        while not self._lines.empty():
            more = self._lines.get().encode(errors="replace")
            if sum(map(len, batch)) + len(more) > WRITE_BYTES:
                yield batch
                batch = []
            batch.append(more)
        yield batch

    def _write_lines(self, lines: list[bytes]) -> None:
        untold = self.dropped - self._told
        try:
            _write_all(self._descriptor, b"".join(lines))
            if untold:
                _write_all(self._descriptor, f"{self.format(_told(untold))}\n".encode())
                self._told += untold
        except OSError:  # closed, or the disk is full: the next lines may pass
            self._failed += len(lines)
        self._done += len(lines)


def _told(count: int) -> logging.LogRecord:
    said = {"msg": "%d lines of the log were dropped", "args": (count,)}
    return logging.makeLogRecord({"name": "log", "levelno": logging.WARNING, "levelname": "WARNING"} | said)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
