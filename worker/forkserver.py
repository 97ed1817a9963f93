"""
A small process that forks decode children: the decoder is loaded in it once, so a child is there in milliseconds.

It is started as a program of its own, before the model is loaded and with an environment that names nothing but where
the code is: forked from the worker itself, a child would inherit keys, sockets and a GPU context. It ends, and its
children with it, when the worker does.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

COMMAND = struct.Struct("<cI")  # what to do, and to which process
PID = struct.Struct("<I")
FORK, KILL = b"F", b"K"
ANSWER_S = 30.0  # a fork takes milliseconds; before the first one the decoder is loaded
STOP_S = 3.0  # it has nothing to do but to kill its children; one that still loads the decoder has none
KEPT_NAMES = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")  # of the worker's environment
ONE_THREAD_EACH = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class ForkServer:
    """The worker's hold on it: start, fork, kill, close. Thread-safe; a server that died is started again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self) -> None:
        """Start it, without waiting until it has loaded the decoder."""
        with self._lock:
            self._start()

    def fork(self) -> tuple[socket.socket, int]:
        """A new child: the line to it and its process id. Raises OSError if there is none to be had."""
        ours, theirs = socket.socketpair()
        try:
            with theirs, self._lock:
                try:
                    pid = self._ask(FORK, 0, theirs)
                except OSError:  # it died, of the machine's memory, by an operator's hand; or it hangs
                    self._stop()
                    pid = self._ask(FORK, 0, theirs)
        except BaseException:
            ours.close()
            raise
        return ours, pid

    def kill(self, pid: int) -> None:
        """End a child at once. Only its parent knows that the process id still is that child's."""
        with self._lock:
            if self._control is None:  # the child is gone with its parent: none is started to end it
                return
            try:
                self._ask(KILL, pid)
            except OSError:  # an answer that comes later would be taken for the next one
                self._stop()

    def close(self) -> None:
        """End it and its children."""
        with self._lock:
            self._stop()

    def _ask(self, command: bytes, pid: int, line: socket.socket | None = None) -> int:
        control = self._control or self._start()
        socket.send_fds(control, [COMMAND.pack(command, pid)], [line.fileno()] if line else [])
        answer = control.recv(PID.size)
        if len(answer) < PID.size:
            raise ConnectionError("the decode server ended")
        return int(PID.unpack(answer)[0])

    def _start(self) -> socket.socket:
        if self._control is None:
            self._control, theirs = socket.socketpair()
            self._control.settimeout(ANSWER_S)
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603  this program
                    [sys.executable, "-P", "-m", "worker.forkserver", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    env=environment(),
                    start_new_session=True,  # Ctrl-C drains the worker, which still decodes
                )
        return self._control

    def _stop(self) -> None:
        if self._control is not None and self._process is not None:
            self._control.close()  # at which it ends its children: killed at once, it would leave them behind
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._control = self._process = None


def environment() -> dict[str, str]:
    """What a decoder may know: where the code is, and nothing that is anybody's."""
    kept = {name: os.environ[name] for name in KEPT_NAMES if name in os.environ}
    code = os.pathsep.join(str(Path(path).absolute()) for path in sys.path)
    return kept | ONE_THREAD_EACH | {"PYTHONPATH": code, "PYTHONDONTWRITEBYTECODE": "1"}


def main(argv: list[str]) -> int:
    """Fork when told to, until the worker is gone."""
    from worker import inmate  # noqa: PLC0415  the worker imports this file too, and not the decoder

    leave_home()
    gc.freeze()  # children share these pages as long as nobody writes to them
    children: set[int] = set()
    with socket.socket(fileno=int(argv[1])) as control:
        while True:
            message, descriptors, _, _ = socket.recv_fds(control, COMMAND.size, 1)
            if len(message) < COMMAND.size:
                break
            command, pid = COMMAND.unpack(message)
            if command == FORK:
                pid = os.fork()
                if pid == 0:
                    control.close()
                    _be_child(inmate.serve, descriptors[0])
                os.close(descriptors[0])
                children.add(pid)
            elif pid in children:
                _end(pid)
                children.discard(pid)
            control.sendall(PID.pack(pid))
    for pid in children:
        _end(pid)
    return 0


def leave_home() -> None:
    """Stand in a folder that is empty and stays so: it is removed from under our feet."""
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    Path(folder).rmdir()


def _be_child(serve: object, descriptor: int) -> None:
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with socket.socket(fileno=descriptor) as line:
            serve(line)  # type: ignore[operator]
        code = 0
    except Exception:  # noqa: S110  the process edge: whoever holds the other end sees that it ended
        pass
    finally:
        os._exit(code)


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
