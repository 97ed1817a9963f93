"""
Stands between `up` and one service, so that whatever happens nothing is left behind.

Run by path with nothing but the standard library: `python -I -S minder.py CORES COMMAND...`. It starts the command
in a process group of its own and obeys its standard input, a pipe that only `up` holds: a byte asks the service to
drain (SIGTERM), the pipe's end kills the whole group. The end comes also when `up` itself was killed, so no signal can
be missed and no parent's id can be mistaken. When the service goes first, what it started goes with it.

Exit code: the service's own, or 128 + the number of the signal that ended it.
"""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # prctl(2): the signal that a process gets when its parent dies


def main(argv: Sequence[str]) -> int:
    """Run the command on the named cores (`any`, or numbers with commas) until it ends or is told to."""
    cores, command = argv[0], argv[1:]
    if cores != "any":
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    minder = os.getpid()
    service = os.fork()
    if service == 0:
        _become(command, minder)
    threading.Thread(target=_obey, args=(service,), daemon=True).start()
    code = _exit_code(service)
    _kill_group(service)
    return code


def _become(command: Sequence[str], minder: int) -> None:
    """Turn into the service: own group, no input, and killed by Linux if even the minder is."""
    try:
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != minder:  # it died before the line above
                os._exit(1)
        os.execv(command[0], list(command))  # noqa: S606  the command is `up`'s own
    except OSError as error:
        os.write(2, f"error: cannot start {command[0]}: {error.strerror}\n".encode())
    os._exit(127)


def _obey(service: int) -> None:
    while os.read(0, 1):
        os.kill(service, signal.SIGTERM)
    _kill_group(service)


def _exit_code(service: int) -> int:
    """Wait without reaping, so that the number cannot come to mean another group while `_obey` may still use it."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return _code_of(os.waitpid(service, 0)[1])
    end = os.waitid(os.P_PID, service, os.WEXITED | os.WNOWAIT)
    assert end is not None  # noqa: S101  only WNOHANG answers None
    return end.si_status if end.si_code == os.CLD_EXITED else 128 + end.si_status


def _code_of(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _kill_group(service: int) -> None:
    for send in (os.killpg, os.kill):  # the group exists only once the service has made it
        try:
            send(service, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
