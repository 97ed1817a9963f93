"""Stand-ins for services: tiny programs that start in a tenth of a second."""

import os
import sys
from collections.abc import Callable

import pytest

from fleet.child import ChildSpec

# says ready on PORT, ends with 0 on SIGTERM; `--family` also starts a process of its own that ignores SIGTERM
SERVE = """
import http.server, os, signal, subprocess, sys, threading
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    allow_reuse_address = True
server = Server(("127.0.0.1", int(sys.argv[1])), Ready)
def stop(*_):
    os.write(1, b"draining\\n"); os._exit(0)
signal.signal(signal.SIGTERM, stop)
if "--family" in sys.argv:
    own = subprocess.Popen([sys.executable, "-c",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"])
    print("family", own.pid, flush=True)
print("serving", os.getpid(), flush=True)
server.serve_forever()
"""

Standin = Callable[..., ChildSpec]


@pytest.fixture
def standin() -> Standin:
    """`standin(code, *arguments)`: the spec of a child that runs this Python code."""

    def spec(code: str, *arguments: str, name: str = "worker-1", port: int = 9) -> ChildSpec:
        return ChildSpec(
            name=name,
            command=(sys.executable, "-I", "-S", "-c", code, *arguments),
            ready_url=f"http://127.0.0.1:{port}/readyz",
            environ=dict(os.environ),
        )

    return spec


@pytest.fixture
def serving(standin: Standin) -> Standin:
    """`serving(port)`: the spec of a child that becomes ready."""

    def spec(port: int, *arguments: str, name: str = "worker-1") -> ChildSpec:
        return standin(SERVE, str(port), *arguments, name=name, port=port)

    return spec


@pytest.fixture
def is_alive() -> Callable[[int], bool]:
    """Whether a process runs; one that is dead but not yet collected does not."""

    def alive(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        try:
            with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
                return stat.read().rpartition(")")[2].split()[0] != "Z"
        except FileNotFoundError:
            return not os.path.isdir("/proc/self")  # noqa: PTH112

    return alive


@pytest.fixture
def clip(tmp_path):
    """A file to send."""
    path = tmp_path / "a.wav"
    path.write_bytes(b"x")
    return path
