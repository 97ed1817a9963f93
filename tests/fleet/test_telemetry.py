"""Nobody is told that this runs."""

import os
import subprocess
import sys

from fleet import telemetry

LISTENS = "import numpy; from fleet.silero import Ear, Silero; print(len(Ear(Silero()).hear(numpy.zeros(16000, 'f4'))))"
STARTS = "import os; from fleet import cli; cli.main(['--version']); print(os.environ['ORT_DISABLE_TELEMETRY'])"


def ran(code, home):
    environ = {name: value for name, value in os.environ.items() if name not in telemetry.OFF and "XDG" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ | {"HOME": str(home)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_voice_activity_model_leaves_no_trace(tmp_path):
    """Its runtime, left alone, writes an id of this machine below the home folder and sends events."""
    assert ran(LISTENS, tmp_path) == "31\n"
    assert not list(tmp_path.rglob("*"))


def test_every_command_says_so_to_what_it_starts(tmp_path):
    """Whatever a worker, a pull or a benchmark loads."""
    assert ran(STARTS, tmp_path).endswith("\n1\n")


def test_an_operator_may_say_otherwise():
    """What is set already stays."""
    environ = {"ORT_DISABLE_TELEMETRY": "0"}
    telemetry.turn_off(environ)
    assert environ == {"ORT_DISABLE_TELEMETRY": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}
