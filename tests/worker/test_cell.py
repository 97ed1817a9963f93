"""What a child says is checked: a broken one may say anything."""

import json
import logging
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from fleet.errors import BadAudio
from worker.cell import Cell, CellBroken, CellGone
from worker.clip import AudioLimits
from worker.inmate import DONE, FIGURES, HEAD, REFUSED, SAMPLES

TONE = np.full(16_000, 0.5, "<f4").tobytes()


def message(kind: bytes, data: bytes) -> bytes:
    return HEAD.pack(kind, len(data)) + data


def said(kind: bytes, value: object) -> bytes:
    return message(kind, json.dumps(value).encode())


@pytest.fixture
def line() -> Iterator[tuple[Cell, socket.socket]]:
    """A cell, and the end of the line where its child would be."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Cell(ours, 0, stall_s=0.2), theirs


def decode(cell: Cell) -> object:
    with open("/dev/null", "rb") as source:  # noqa: PTH123
        return cell.decode(source.fileno(), AudioLimits(max_s=0.1))


def test_samples_and_losses_make_a_clip(line: tuple[Cell, socket.socket]):
    """Blocks are put together in order."""
    cell, child = line
    child.sendall(message(SAMPLES, TONE) + message(SAMPLES, TONE[:400]) + said(DONE, ["truncated; decoded=1.01"]))
    clip = cell.decode(child.fileno(), AudioLimits())
    assert (len(clip.samples), clip.warnings) == (16_100, ("truncated; decoded=1.01",))


def test_a_refusal_is_passed_on(line: tuple[Cell, socket.socket]):
    """With its code and sentence."""
    cell, child = line
    child.sendall(said(REFUSED, ["audio_too_long", "Too long."]))
    with pytest.raises(BadAudio) as refused:
        decode(cell)
    assert (refused.value.code, refused.value.message) == ("audio_too_long", "Too long.")


def test_a_file_is_logged_for_the_child_with_the_request_it_belongs_to(
    line: tuple[Cell, socket.socket], caplog: pytest.LogCaptureFixture
):
    """It cannot write a log itself; its figures and its number are there, for good files and for bad ones."""
    cell, child = line
    caplog.set_level(logging.INFO, "worker.decode")
    child.sendall(message(SAMPLES, TONE) + said(FIGURES, [0.25, 0.125]) + said(DONE, []))
    cell.decode(child.fileno(), AudioLimits())
    child.sendall(said(FIGURES, [0.5, 0.5]) + said(REFUSED, ["audio_empty", "Nothing."]))
    with pytest.raises(BadAudio):
        decode(cell)
    good, bad = caplog.records
    assert (good.message, good.child, good.took_ms, good.cpu_ms) == ("decoded", 0, 250, 125)  # type: ignore[attr-defined]
    assert (bad.message, bad.code, bad.took_ms) == ("refused", "audio_empty", 500)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "spoken",
    [
        b"",
        b"S\xff\xff\xff\xff",
        message(SAMPLES, b"odd"),
        message(SAMPLES, b""),
        message(b"?", b"[]"),
        message(DONE, b"not json"),
        said(DONE, {"a": 1}),
        said(DONE, ["x\r\nSet-Cookie: a=b"]),
        said(DONE, [7]),
        said(DONE, ["x" * 5_000]),
        said(REFUSED, ["audio_empty"]),
        said(REFUSED, ["internal_error", "x"]),
        message(SAMPLES, TONE) * 2,
        said(FIGURES, [0.1, 0.1]) * 2,
        said(FIGURES, [0.1, "x"]),
        said(FIGURES, [float("nan"), 0.1]),
        said(FIGURES, {"msg": 1}),
    ],
    ids=range(17),
)
def test_nonsense_breaks_the_cell_and_nothing_else(line: tuple[Cell, socket.socket], spoken: bytes):
    """Wrong sizes, wrong kinds, header injection, more sound than is allowed: the child is not ours any more."""
    cell, child = line
    child.sendall(spoken)
    child.shutdown(socket.SHUT_WR)
    with pytest.raises(CellBroken):
        decode(cell)


def test_silence_on_the_line_ends(line: tuple[Cell, socket.socket]):
    """A child that hangs, or says a byte now and then, is given up at the wall time."""
    cell, child = line
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.05):
            child.sendall(b"S")

    thread = threading.Thread(target=drip)
    child.sendall(HEAD.pack(SAMPLES, 16_000))
    thread.start()
    try:
        with pytest.raises(CellBroken):
            decode(cell)
    finally:
        stop.set()
        thread.join()


def test_a_child_that_is_gone_is_told_from_one_that_hangs_or_lies(line: tuple[Cell, socket.socket]):
    """The file may be given to another, whether the child had it or not."""
    cell, child = line
    child.sendall(HEAD.pack(SAMPLES, 16_000))
    child.close()
    for _ in range(2):
        with pytest.raises(CellGone):
            decode(cell)
