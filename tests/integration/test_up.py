"""`whisper-fleet up`: what it prints, how it stops, what it leaves, and what it says when it cannot start."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import psutil
import pytest
from openai import OpenAI

pytestmark = pytest.mark.real

GONE_WITHIN_S = 15


def gone(processes, within_s=GONE_WITHIN_S):
    """The processes that are still there after all of them should have ended."""
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_banner_shows_a_real_transcript(fleet):
    """A line a service, the sample's words, addresses that answer, the note about the embedded model."""
    said = "".join(fleet.out)

    assert '"five seven nine zero one"' in said
    start = said.partition("Ready in")[0]
    for name in ("router", "worker-1", "worker-2"):
        assert re.search(rf"^{name} +http://127\.0\.0\.1:\d+ .*ready in [\d.]+ s$", start, re.MULTILINE)
    addresses = re.findall(rf"{fleet.url}/[\w-]*", said.partition("Ready in")[2])
    assert len(addresses) >= 3
    for address in addresses:
        if not address.endswith("/v1"):
            with urllib.request.urlopen(address, timeout=10) as response:
                assert response.status == 200
    assert "spoken English digits" in said


def test_one_core_a_worker(fleet):
    """Workers are pinned apart where there are cores enough, and the banner says where."""
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine cannot pin two workers to cores of their own")
    first, second = (set(worker.cpu_affinity()) for worker in fleet.services("worker"))
    assert not first & second
    assert "on core" in "".join(fleet.out)


def test_interrupt_answers_what_is_in_flight(start_fleet, tmp_path):
    """Ctrl-C during a request: it is answered, the exit code is 0, neither a process nor a store of jobs is left."""
    fleet = start_fleet(
        "--workers", "1", "--model", "fake:3", TMPDIR=str(tmp_path), XDG_STATE_HOME=str(tmp_path / "state")
    )
    fleet.wait_ready()
    family, answers = fleet.family(), []
    assert len(list(tmp_path.rglob("jobs*.sqlite"))) == 1

    def ask():
        with OpenAI(base_url=fleet.url, api_key="any", max_retries=0) as client:
            answers.append(client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"any")).text)

    caller = threading.Thread(target=ask)
    caller.start()
    fleet.wait_for(lambda: fleet.get("/lb-status")["fleet"]["busy"] == 1, 20, "request in flight")
    fleet.interrupt()
    caller.join(30)

    assert len(answers) == 1
    assert fleet.wait() == 0
    assert fleet.out[-1] == "Stopped.\n"
    assert not gone(family)
    assert list(tmp_path.iterdir()) == []


def test_second_interrupt_stops_at_once(start_fleet):
    """A drain that would take a minute is cut short."""
    fleet = start_fleet("--workers", "1", "--model", "fake:0.01")
    fleet.wait_ready()
    family = fleet.family()
    with socket.create_connection(("127.0.0.1", int(fleet.url.rpartition(":")[2]))) as half_sent:
        half_sent.sendall(
            b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n"
            b"Content-Type: multipart/form-data; boundary=X\r\n\r\n--X\r\n"
        )
        fleet.wait_for(lambda: fleet.get("/lb-status")["router"]["open_requests"] >= 1, 20, "request half sent")
        fleet.interrupt()
        fleet.wait_for(lambda: any("Draining" in line for line in fleet.out), 20, "word about draining")
        began = time.monotonic()
        fleet.interrupt()
        fleet.wait()

    assert time.monotonic() - began < 10
    assert not gone(family)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_kill_leaves_nothing(start_fleet, tmp_path):
    """`up` killed with -9, which it cannot notice: router, workers, and all they started are gone."""
    fleet = start_fleet("--workers", "2", "--model", "spoken-digits", TMPDIR=str(tmp_path))  # its jobs stay behind
    fleet.wait_ready()
    family = fleet.family()
    assert len(family) >= 6  # a router and two workers, each with its minder

    fleet.process.send_signal(signal.SIGKILL)
    fleet.wait()

    assert not gone(family)


def test_kill_during_the_start_leaves_nothing(start_fleet, tmp_path):
    """Nor while everything is only starting."""
    fleet = start_fleet("--workers", "2", "--model", "spoken-digits", TMPDIR=str(tmp_path))  # its jobs stay behind
    fleet.wait_for(lambda: len(fleet.family()) >= 3, 20, "first child")
    family = fleet.family()

    fleet.process.send_signal(signal.SIGKILL)
    fleet.wait()

    assert not gone(family)


def test_bad_model_name(start_fleet):
    """Exit code 3 and one sentence about the model."""
    fleet = start_fleet("--model", "nonsense")

    assert fleet.wait() == 3
    errors = [line for line in fleet.err if line.startswith("error: ")]
    assert len(errors) == 1
    assert "'nonsense'" in errors[0]
    assert "Traceback" not in "".join(fleet.err)


def test_port_in_use():
    """Exit code 3 and one sentence about the port, before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = [sys.executable, "-m", "fleet.cli", "up", "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.returncode == 3
    assert done.stderr == f"error: 127.0.0.1:{port} is taken: end what listens there, or choose another PORT.\n"


def test_open_to_others_needs_a_key():
    """Listening beyond loopback without a key is refused, with the names of the settings."""
    command = [sys.executable, "-m", "fleet.cli", "up", "--port", "0", "--host", "0.0.0.0", "--model", "fake:0.01"]
    environ = {name: value for name, value in os.environ.items() if name not in ("API_KEY", "ALLOW_OPEN")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ)

    assert done.returncode == 3
    assert "API_KEY" in done.stderr
    assert "ALLOW_OPEN" in done.stderr
