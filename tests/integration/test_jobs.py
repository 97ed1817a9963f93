"""A job on a whole fleet with the real model: the words, in the format asked for, by the command."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.real


def test_a_recording_as_a_job(fleet, clips):
    """`transcribe --job` gives what a live request gives, byte for byte."""
    clip = clips["half-minute.wav"]
    answers = []
    for how in (("--job",), ()):
        command = [sys.executable, "-m", "fleet.cli", "transcribe", str(clip["path"]), "--format", "vtt", *how]
        done = subprocess.run([*command, "--url", fleet.url], capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout)
    assert answers[0] == answers[1]
    assert answers[0].startswith("WEBVTT")
    (job,) = fleet.get("/v1/jobs")["data"]
    assert (job["status"], job["progress"], job["attempts"]) == ("succeeded", 1.0, 1)
