"""
Hands log lines to a thread that writes them: a full disk or a pipe that nobody reads stops the log, not the service.

A line is made where it is logged, since only there its request is known; only the writing waits. Past a limit lines are
dropped, and how many is said when there is room again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from queue import SimpleQueue

LINES_MAX = 10_000  # some 3 MB, and half a minute of a busy router
FLUSH_WITHIN_S = 1  # at the end of the process


class LineWriter(logging.Handler):
    """
    Writes to a file descriptor. State: the lines that wait, how many were dropped.

    Not through a buffered file: a thread that is stuck in one holds its lock, and then no process ends in peace.
    """

    def __init__(self, descriptor: int, *, lines_max: int = LINES_MAX) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines_max = lines_max
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._taken = self._done = 0  # each counted by one side alone
        self.dropped = 0
        self._untold = 0
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line, or drop it; never wait."""
        if self._lines.qsize() >= self._lines_max:  # logging holds this handler's lock
            self.dropped += 1
            self._untold += 1
            return
        self._taken += 1
        self._lines.put(f"{self.format(record)}\n")

    def flush(self) -> None:
        """Wait a moment for what was taken, as logging does at the end."""
        deadline = time.monotonic() + FLUSH_WITHIN_S
        while self._done < self._taken and time.monotonic() < deadline:
            time.sleep(0.005)

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            untold, self._untold = self._untold, 0
            try:
                _write_all(self._descriptor, line.encode(errors="replace"))
                if untold:
                    _write_all(self._descriptor, f"{untold} lines of the log were dropped\n".encode())
            except OSError:  # closed, or the disk is full: the next line may pass
                self.dropped += 1
            self._done += 1


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
