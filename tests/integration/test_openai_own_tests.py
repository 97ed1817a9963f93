"""The `openai` package's own tests of its audio and model resources, unmodified, against a fleet."""

import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

SUITE = [
    "tests/api_resources/audio/test_transcriptions.py",
    "tests/api_resources/audio/test_translations.py",
    "tests/api_resources/test_models.py",
]


@pytest.fixture(scope="session")
def openai_source() -> Path:
    """The source distribution of the installed version, kept between runs outside of the project."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper-fleet-tests"
    name = f"openai-{version('openai')}"
    if not (cache / name / "tests").is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "openai"]
        done = subprocess.run(
            [*command, "--dest", str(cache), name.replace("-", "==")], capture_output=True, text=True, timeout=100
        )
        if done.returncode:
            why = done.stderr.strip()[-200:]
            pytest.skip(f"the package registry did not give {name}.tar.gz, so its tests are NOT run here: {why}")
        with tarfile.open(cache / f"{name}.tar.gz") as archive:
            is_choosy = hasattr(tarfile, "data_filter")  # not in the first releases of Python 3.11
            archive.extractall(cache, **({"filter": "data"} if is_choosy else {}))  # noqa: S202  the installed release's
    return cache / name


def test_suite_passes(scripted_fleet, openai_source):
    """Sync and async, every transport, raw and streamed responses: all of it passes."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider", *SUITE],
        cwd=openai_source,
        env=os.environ | {"TEST_API_BASE_URL": scripted_fleet.url},
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert done.returncode == 0, done.stdout[-5000:]
    passed = int(done.stdout.rsplit(" passed", 1)[0].split()[-1])
    assert passed >= 100
    assert "skipped" not in done.stdout


def test_no_error_was_logged(scripted_fleet):
    """Streams that the suite closes early are no errors of ours."""
    unexpected = [line for line in scripted_fleet.err if '"unexpected error"' in line]
    assert not unexpected, unexpected[0]
