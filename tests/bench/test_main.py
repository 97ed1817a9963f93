"""The benchmark itself, a few seconds of it, with real processes."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


def test_a_quick_run_measures_and_writes(tmp_path: Path):
    """A fleet over HTTP, bare loops beside it, the page and the picture; `.ci/run` makes all of a quick run."""
    page = tmp_path / "B.md"
    done = bench("--quick", "--only", "ceiling", "--round-s", "1", "--out", str(page))
    assert done.returncode in (0, 1), done.stderr  # 1: too slow a machine, which is not this test's business
    assert "fleet of" in done.stdout
    assert "bare engine loops" in page.read_text()
    assert (tmp_path / "B.png").is_file()


def test_a_wrong_measure_is_one_sentence():
    """Exit code 3, no traceback."""
    done = bench("--only", "speed")
    assert done.returncode == 3
    assert done.stderr.startswith("error: ONLY knows overhead")


def test_a_file_that_cannot_be_written_is_told_before_anything_is_measured(tmp_path: Path):
    """Ten minutes of figures were lost for a folder that was not there."""
    for out in (tmp_path / "none" / "B.md", tmp_path):
        done = bench("--out", str(out))
        assert done.returncode == 3
        assert done.stderr.startswith("error: OUT: ")
