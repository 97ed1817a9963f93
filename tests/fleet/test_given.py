"""What `up` takes, passes on and refuses."""

import os
import subprocess
from pathlib import Path

import pytest

from fleet import given
from fleet.plan import UpSettings
from fleet.settings import SettingError
from tests.programs import needs_make

ROOT = Path(__file__).parents[2]


def test_settings_of_router_and_worker_are_passed_on():
    """As the environment that they read, over what was there; its own are its own."""
    environ = {"MAX_WAIT_S": "9", "BEAM_SIZE": "2"}
    wanted, passed_on = given.read(environ, ["--workers", "3", "--max-wait-s", "5", "--vad-filter", "false"])

    assert wanted == UpSettings(workers=3)
    assert passed_on == {"MAX_WAIT_S": "5", "BEAM_SIZE": "2", "VAD_FILTER": "false"}


@pytest.mark.parametrize("option", ["--cpu-threads", "--worker-id"])
def test_what_up_sets_itself_is_no_option(option, capsys):
    """It would be taken and do nothing."""
    with pytest.raises(SystemExit):
        given.read({}, [option, "3"])
    assert f"{option} is not an option" in capsys.readouterr().err


def test_a_name_on_makes_line_that_sets_nothing_is_refused():
    """With the one that was meant, whatever case it was written in."""
    with pytest.raises(SettingError, match="WORKRES is not a setting; did you mean WORKERS"):
        given.read({"MAKE_GIVEN": "WORKRES"}, [])
    with pytest.raises(SettingError, match="max_wait is not a setting; did you mean MAX_WAIT_S"):
        given.read({"MAKE_GIVEN": "PORT max_wait"}, [])


def test_names_that_somebody_reads_are_taken():
    """Settings by any of their names, make's own, and those of libraries; a name in the environment is never judged."""
    names = "WORKERS MODEL_SIZE MAX_WAIT_S BEAM_SIZE ARGS PYTHON VENV HF_HUB_OFFLINE CUDA_VISIBLE_DEVICES"
    assert given.read({"MAKE_GIVEN": names, "WORKRES": "3"}, [])[0] == UpSettings()


@needs_make
def test_make_tells_the_names_on_its_line(tmp_path):
    """The names, not the values, however odd those are; and not what stands in the environment."""
    (tmp_path / "bin").mkdir()
    (tmp_path / ".run").touch()
    command = tmp_path / "bin" / "whisper-fleet"
    command.write_text('#!/bin/sh\necho "given: $MAKE_GIVEN"\n')
    command.chmod(0o755)
    (tmp_path / "bin" / "python").touch()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")} | {"MODLE": "base"}
    done = subprocess.run(
        ["make", "-s", "-o", f"{tmp_path}/.run", "run", f"VENV={tmp_path}", "WORKRES=3", "ARGS=--a 'b' --x=1"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {"given:", "VENV", "WORKRES", "ARGS"}
