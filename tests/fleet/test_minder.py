"""The minder, as its own process: whoever goes first, nothing is left."""

import os
import signal
import subprocess
import sys

import pytest

from fleet.child import MINDER

SLEEPER = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"


@pytest.fixture
def start():
    """Start a minder over a line of Python; ended at the end of the test."""
    started = []

    def minder(code, cores="any"):
        command = [sys.executable, "-I", "-S", str(MINDER), cores, sys.executable, "-c", code]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        started.append(process)
        return process

    yield minder
    for process in started:
        with process:
            process.stdin.close()


def test_exit_code_is_passed_on(start):
    """The service's own exit code comes out, and 128 + n for signal n."""
    assert start("raise SystemExit(3)").wait(20) == 3
    assert start("import os; os.kill(os.getpid(), 9)").wait(20) == 128 + 9


def test_end_of_input_kills(start, is_alive):
    """When `up` is gone its end of the pipe closes, and the service is killed without being asked."""
    minder = start("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER)
    service = int(minder.stdout.readline())

    minder.stdin.close()

    assert minder.wait(20) == 128 + signal.SIGKILL
    assert not is_alive(service)


def test_byte_asks_to_drain(start):
    """One byte is SIGTERM for the service, which may take its time and say its own exit code."""
    code = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); " + SLEEPER
    minder = start(code)
    minder.stdout.readline()

    minder.stdin.write(b"t")
    minder.stdin.flush()

    assert minder.wait(20) == 7


async def test_family_goes_with_the_service(start, is_alive, eventually):
    """What a killed service had started is swept away with it."""
    code = (
        "import subprocess, sys, time; own = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "import os; print(os.getpid(), own.pid, flush=True); time.sleep(600)"
    )
    minder = start(code)
    service, own = map(int, minder.stdout.readline().split())

    os.kill(service, signal.SIGKILL)

    assert minder.wait(20) == 128 + signal.SIGKILL
    await eventually(lambda: not is_alive(own), what="the end of the grandchild")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to its parent's life")
async def test_killed_minder_takes_the_service_along(start, is_alive, eventually):
    """Even a killed minder leaves no service behind."""
    minder = start(SLEEPER)
    service = int(minder.stdout.readline())

    minder.kill()

    await eventually(lambda: not is_alive(service), what="the end of the service")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin a process to cores")
def test_cores_are_pinned(start):
    """The service may run on the named core only."""
    core = min(os.sched_getaffinity(0))
    minder = start("import os; print(os.sched_getaffinity(0))", cores=str(core))

    assert minder.stdout.readline().strip().decode() == f"{{{core}}}"


def test_missing_program_is_one_sentence(start):
    """A command that cannot be started says so and ends."""
    command = [sys.executable, "-I", "-S", str(MINDER), "any", "/no/such/program"]
    done = subprocess.run(command, input=b"", capture_output=True, check=False, timeout=20)

    assert done.returncode != 0
    # the empty input may kill it before it could speak
    assert b"Traceback" not in done.stderr
