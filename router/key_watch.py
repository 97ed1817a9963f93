"""Keeps the router's keys as the file has them, without a restart. A bad file changes nothing but the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from router.key_file import KeyFile, KeyFileError, Stamp
from router.keyring import Keyring

INTERVAL_S = 2.0
RELOADED_WITHIN_S = 5.0  # what is promised: an interval, and a slow disk
SAID_AGAIN_S = 60.0  # a file that stays bad is said again, for who looks only at the last lines

logger = logging.getLogger("router.keys")


class KeyWatch:
    """Looks at the file again and again. State: the stamp of what was read last, and for how long it has been bad."""

    def __init__(self, file: KeyFile, on_keys: Callable[[Keyring], None], *, interval_s: float | None = None) -> None:
        self._file = file
        self._on_keys = on_keys
        self._interval_s = INTERVAL_S if interval_s is None else interval_s
        self._stamp: Stamp | None = None
        self._bad_for_s: float | None = None

    def start(self) -> None:
        """Read the keys for the first time; raises KeyFileError, since there are no good ones to keep."""
        self._stamp = self._file.stamp()
        self._on_keys(self._file.read())

    async def loop(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._interval_s)
            await self._look()

    async def _look(self) -> None:
        stamp = await asyncio.to_thread(self._file.stamp)
        if stamp == self._stamp and self._bad_for_s is None:
            return
        try:
            ring = await asyncio.to_thread(self._file.read)
        except KeyFileError as error:
            self._complain(error, is_new=stamp != self._stamp)
        else:
            self._bad_for_s = None
            self._on_keys(ring)
            logger.info("keys read again", extra={"keys": len(ring.records)})
        self._stamp = stamp

    def _complain(self, error: KeyFileError, *, is_new: bool) -> None:
        """While the file is bad it is read at every look: what is wrong may be the pepper, or a mode."""
        bad_for_s = 0.0 if is_new or self._bad_for_s is None else self._bad_for_s + self._interval_s
        if bad_for_s == 0 or bad_for_s >= SAID_AGAIN_S:
            logger.error("the file of keys is bad; the keys read before stay in force", extra={"reason": str(error)})
            bad_for_s = 0.0
        self._bad_for_s = bad_for_s
