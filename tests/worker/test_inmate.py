"""The child's side of the line, run here in a thread."""

import io
import json
import resource
import socket
import subprocess
import sys

import numpy as np

from tests.worker import clips as make
from worker.clip import AudioLimits
from worker.inmate import BLOCK_SAMPLES, DONE, FIGURES, HEAD, REFUSED, SAMPLES, Out, answer, limit_cpu


def messages(data: bytes, **limits: float) -> list[tuple[bytes, bytes]]:
    """What the child says about a file."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        answer(io.BytesIO(data), AudioLimits(**limits), Out(theirs))
        theirs.shutdown(socket.SHUT_WR)
        spoken = io.BytesIO(b"".join(iter(lambda: ours.recv(1 << 20), b"")))
    heads = iter(lambda: spoken.read(HEAD.size), b"")
    return [(kind, spoken.read(size)) for kind, size in map(HEAD.unpack, heads)]


def test_samples_come_in_a_few_messages_and_end_with_what_was_lost():
    """Not one for each packet."""
    spoken = messages(make.encoded(make.wav(make.tone(2)), "flac", "flac"))
    assert [kind for kind, _ in spoken] == [SAMPLES, FIGURES, DONE]
    assert len(spoken[0][1]) == 2 * 16_000 * 4
    took_s, cpu_s = json.loads(spoken[1][1])
    assert 0 < took_s < 60
    assert cpu_s > 0
    assert json.loads(spoken[2][1]) == []


def test_a_refusal_is_code_and_sentence():
    """Nothing of the file's."""
    (figures, _), (kind, body) = messages(b"no audio at all, but a canary")
    assert (figures, kind) == (FIGURES, REFUSED)
    assert json.loads(body)[0] == "audio_unsupported"
    assert b"canary" not in body


def test_no_message_is_larger_than_the_parent_takes():
    """One huge block is cut up."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        out = Out(theirs)
        out._send = lambda kind, data: sizes.append(len(data))  # type: ignore[method-assign]
        sizes: list[int] = []
        out.keep(np.zeros(BLOCK_SAMPLES * 2 + 5, np.float32))
    assert sizes == [BLOCK_SAMPLES * 4, BLOCK_SAMPLES * 4, 20]


def test_a_limit_that_is_there_is_kept():
    """A service with LimitCPU still decodes: to raise a hard limit is forbidden, and would end the child."""
    script = """
import os, resource
from worker.inmate import limit_cpu
resource.setrlimit(resource.RLIMIT_CPU, (50, 60))
if os.geteuid() == 0:
    os.setgid(65534), os.setuid(65534)
limit_cpu(1_000)
print(resource.getrlimit(resource.RLIMIT_CPU))
limit_cpu(20)
print(resource.getrlimit(resource.RLIMIT_CPU)[0] < 50)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "(60, 60)\nTrue\n", done.stderr


def test_cpu_time_is_counted_from_the_file_on():
    """A child that lived long may still decode."""
    before = resource.getrlimit(resource.RLIMIT_CPU)
    try:
        limit_cpu(1_000)
        assert resource.getrlimit(resource.RLIMIT_CPU)[0] > 1_000
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, before)
