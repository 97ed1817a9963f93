"""
Decoding that cannot take the worker with it: plain WAV here, every other format in a child.

Children are kept and used again, one for each decode at once; one that dies, hangs or talks nonsense is ended and
replaced, and so is one that has had its share of files, because decoders leak.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from fleet.errors import BadAudio
from worker import wav
from worker.audio import DAMAGED
from worker.cell import Cell, CellBroken, CellGone
from worker.clip import AudioLimits, Clip
from worker.forkserver import ForkServer
from worker.inmate import STALL_S

FILES_EACH = 500  # then a child is replaced
COPIED_BYTES = 1 << 20  # uploads up to this size are in memory and are copied once more; larger ones are files already

logger = logging.getLogger(__name__)


class Sandbox:
    """A Decoder. Thread-safe; as many children as threads decode at once."""

    def __init__(self, *, stall_s: float = STALL_S, on_death: Callable[[], None] = lambda: None) -> None:
        self.deaths = 0
        self._server = ForkServer()
        self._idle: list[Cell] = []
        self._stall_s = stall_s
        self._on_death = on_death

    def __repr__(self) -> str:
        return f"<Sandbox {len(self._idle)} idle, {self.deaths} deaths>"

    def start(self) -> None:
        """Start the server, so that the first file need not wait for it."""
        self._server.start()

    def close(self) -> None:
        """End every child."""
        while self._idle:
            self._idle.pop().close()
        self._server.close()

    def decode(self, source: IO[bytes], limits: AudioLimits) -> Clip:
        """The clip in the source; blocks. Raises BadAudio with a code that says what is wrong."""
        source.seek(0)
        header = wav.read_header(source)
        if header is not None:
            return wav.decode(source, header, limits)
        with shared(source) as descriptor:
            try:
                return self._decode(descriptor, limits)
            except CellBroken as error:
                self.deaths += 1
                self._on_death()
                logger.warning("a file ended its decode child")
                raise BadAudio(DAMAGED, code="audio_corrupt") from error

    def _decode(self, descriptor: int, limits: AudioLimits) -> Clip:
        """A child that has served before may die of anything; what a new one dies of is the file."""
        try:
            with self._cell(self._idle_or_new()) as cell:
                return cell.decode(descriptor, limits)
        except CellGone:
            if cell.files == 1:
                raise
        with self._cell(self._new()) as cell:
            return cell.decode(descriptor, limits)

    def _idle_or_new(self) -> Cell:
        try:
            return self._idle.pop()
        except IndexError:  # asked first, another thread might take the last one in between
            return self._new()

    def _new(self) -> Cell:
        return Cell(*self._server.fork(), stall_s=self._stall_s)

    @contextmanager
    def _cell(self, cell: Cell) -> Iterator[Cell]:
        """A child for one file; back among the idle unless it broke or is worn out."""
        is_good = False
        try:
            yield cell
            is_good = True
        except BadAudio:
            is_good = True
            raise
        finally:
            if is_good and cell.files < FILES_EACH:
                self._idle.append(cell)
            else:
                cell.close()
                self._server.kill(cell.pid)


@contextmanager
def shared(source: IO[bytes]) -> Iterator[int]:
    """
    A descriptor of the source's bytes, from their beginning.

    It is ours alone: a caller who hangs up closes the source, and its number may be another caller's file a moment
    later.
    """
    size = source.seek(0, io.SEEK_END)
    source.seek(0)
    if size > COPIED_BYTES:
        source.flush()
        descriptor = os.dup(source.fileno())
        try:
            yield descriptor
        finally:
            os.close(descriptor)
        return
    with _anonymous_file() as copy:
        shutil.copyfileobj(source, copy, COPIED_BYTES)
        copy.flush()
        copy.seek(0)
        yield copy.fileno()


def _anonymous_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("upload"), "w+b")  # noqa: PTH123  a descriptor, closed by its scope
    return tempfile.TemporaryFile()
