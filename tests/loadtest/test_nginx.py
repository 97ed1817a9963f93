"""nginx in the router's place, for real where it is installed."""

import shutil
import subprocess
from pathlib import Path

from loadtest import nginx
from tests.programs import needs_nginx


@needs_nginx
def test_the_configuration_as_it_stands_is_valid(tmp_path: Path) -> None:
    """
    The files of nginx/ work together on nginx 1.22, unprivileged.
    """
    for name in ("nginx.conf", "listen.conf", "upstream.conf"):
        shutil.copy(nginx.CONFIG / name, tmp_path / name)
    (tmp_path / "temp").mkdir()

    assert _check(tmp_path).returncode == 0, _check(tmp_path).stderr


@needs_nginx
def test_a_laid_out_folder_is_valid(tmp_path: Path) -> None:
    """
    With the workers and the port of a run.
    """
    nginx.lay_out(tmp_path, port=18999, workers=[18997, 18998])

    assert _check(tmp_path).returncode == 0, _check(tmp_path).stderr


def test_both_lists_of_workers_keep_busy_workers_in() -> None:
    """
    A worker that says 503 is busy, not broken: nginx must not take it out for that.
    """
    for name in ("upstream.conf", "upstream-resolve.conf"):
        servers = [line for line in (nginx.CONFIG / name).read_text().splitlines() if line.strip().startswith("server")]
        assert servers
        assert all("max_fails=0" in line for line in servers)


def _check(folder: Path) -> "subprocess.CompletedProcess[str]":
    program = nginx.find()
    assert program
    command = [program, "-t", "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
