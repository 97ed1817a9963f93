import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from fleet.log import JsonFormatter
from fleet.log_writer import WRITE_BYTES, LineWriter


@pytest.fixture
def pipe():
    """A reader's and a writer's end."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def record(text):
    return logging.LogRecord("x", logging.INFO, "", 0, text, (), None)


def wait_for(holds):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_lines_come_out_whole_and_in_order(pipe):
    """From many threads, each its own in order."""
    writer = LineWriter(pipe[1])

    def log(name):
        for number in range(50):
            writer.handle(record(f"{name} {number}"))

    threads = [threading.Thread(target=log, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.flush()
    lines = os.read(pipe[0], 100_000).decode().splitlines()
    for name in "abc":
        assert [line for line in lines if line[0] == name] == [f"{name} {number}" for number in range(50)]


def test_lines_that_come_together_are_written_together():
    """In whole lines, and in pieces that a pipe does not mix with what other processes write into it."""
    reader, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # keeps each write apart
    with reader, end:
        writer = LineWriter(end.fileno())
        for number in range(100):
            writer.handle(record(f"{number:0100}"))
        writer.flush()
        reader.setblocking(False)
        pieces = []
        with suppress(BlockingIOError):
            while True:
                pieces.append(reader.recv(100_000))
        assert b"".join(pieces).count(b"\n") == 100
        assert all(piece.endswith(b"\n") and len(piece) <= WRITE_BYTES for piece in pieces)
        assert len(pieces) < 30


def test_nobody_waits_for_a_reader_who_does_not_read(pipe):
    """What is too much is dropped and counted, and told when there is room again."""
    writer = LineWriter(pipe[1], lines_max=100)
    writer.setFormatter(JsonFormatter())
    began = time.monotonic()
    for number in range(1000):
        writer.handle(record(f"{number:01000}"))
    assert time.monotonic() - began < 5
    assert writer.dropped >= 1000 - 100 - 70  # the pipe itself holds 64 KiB
    os.set_blocking(pipe[0], False)
    read = b""

    def is_all_read():
        nonlocal read
        is_all_written = writer._done == writer._taken
        with suppress(BlockingIOError):
            read += os.read(pipe[0], 65536)
        return is_all_written

    wait_for(is_all_read)
    writer.handle(record("again"))
    wait_for(lambda: is_all_read() and b"again" in read)
    said = [json.loads(line)["message"] for line in read.decode().splitlines()]
    assert sum(int(one.split()[0]) for one in said if "were dropped" in one) == writer.dropped


def test_a_descriptor_that_cannot_be_written_is_no_error():
    """As when the disk is full: the lines are lost, whoever logs goes on."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    writer = LineWriter(descriptor)
    for _ in range(3):
        writer.handle(record("x"))
    wait_for(lambda: writer.dropped == 3)
    os.close(descriptor)


def test_a_call_with_wrong_arguments_is_no_error_of_the_caller(pipe, capsys):
    """It is complained about on stderr, as by every handler; the next line comes out."""
    writer = LineWriter(pipe[1])
    writer.handle(logging.LogRecord("x", logging.INFO, "", 0, "%d", ("no number",), None))
    writer.handle(record("good"))
    writer.flush()
    assert os.read(pipe[0], 1000) == b"good\n"
    assert "no number" in capsys.readouterr().err


@pytest.mark.parametrize("reads", [True, False])
def test_a_process_ends_whether_its_log_is_read_or_not(reads):
    """With its last line where it is read, and within a second or two where it is not."""
    code = (
        "import logging; from fleet import log; log.set_up('info', 'text')\n"
        "for n in range(400): logging.getLogger('x').info('%d %s', n, 'y' * 500)\n"
        "logging.getLogger('x').info('the last')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    if reads:
        _, said = process.communicate(timeout=60)
        assert b"the last" in said
    assert process.wait(60) == 0
    process.stderr.close()
