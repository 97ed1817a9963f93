"""
The whole command, as a person runs it: a real fleet behind the router and behind nginx, a worker killed on the way.

Both run at once; the workers' engine is scripted, so the cores are not what is measured.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest import nginx
from loadtest.__main__ import EXIT_USAGE, _taken, main
from tests.programs import needs_nginx

SHORT = ("--workers", "2", "--model", "fake:0.05", "--step-s", "2", "--soak-s", "3", "--mix", "short", "--strict")
KILL_AT_S = 6


def _start(out: Path, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "loadtest", "soak", *SHORT, "--out", str(out), *options]
    environ = {**os.environ, "LOG_LEVEL": "error"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)


@pytest.mark.parametrize(
    ("arguments", "scenario", "left"),
    [
        (["single", "--url", "u"], "single", ["--url", "u"]),
        (["--url", "u", "single"], "single", ["--url", "u"]),
        (["--mix", "mixed"], "scaling", ["--mix", "mixed"]),
        (["--strict", "mixed"], "scaling", ["--strict", "mixed"]),
        ([], "scaling", []),
        (["nonsense"], "nonsense", []),
    ],
)
def test_the_scenario_stands_first_or_last(arguments: list[str], scenario: str, left: list[str]) -> None:
    """Where it could be an option's value, it is taken for that."""
    assert _taken(arguments) == scenario
    assert arguments == left


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, Path]]:
    """Exit code, what it printed, and the report's folder, by balancer."""
    folders = {"router": tmp_path_factory.mktemp("router"), "nginx": tmp_path_factory.mktemp("nginx")}
    started = {"router": _start(folders["router"], "--faults", f"kill:1@{KILL_AT_S}")}
    if nginx.find():
        started["nginx"] = _start(folders["nginx"], "--balancer", "nginx")
    ended = {}
    for name, process in started.items():
        out, err = process.communicate(timeout=110)
        ended[name] = (process.returncode, out + err, folders[name])
    return ended


@pytest.mark.real
def test_no_caller_notices_that_a_worker_was_killed(runs: dict[str, tuple[int, str, Path]]) -> None:
    """
    Strict, and still no error and no wrong word; the kill stands on the report's time axis.
    """
    code, text, folder = runs["router"]
    report = json.loads((folder / "report.json").read_text())

    assert code == 0, text
    assert report["complaints"] == []
    assert report["runs"][0]["faults"] == [{"at_s": KILL_AT_S, "text": "kill worker 1"}]
    assert (folder / "report.html").stat().st_size > 10_000
    assert "worker-1 ended with exit code 137" in text


@pytest.mark.real
def test_the_fleet_tells_how_long_calls_waited(runs: dict[str, tuple[int, str, Path]]) -> None:
    """
    X-Fleet-Queue-Ms of every answer, and which worker gave it.
    """
    report = json.loads((runs["router"][2] / "report.json").read_text())
    figures = next(row["figures"] for row in report["runs"][0]["rows"] if row["figures"]["phase"] == "soak")

    assert figures["queue_s"]["n"] == figures["calls"] > 10
    assert set(figures["workers"]) == {"worker-1", "worker-2"}


@pytest.mark.real
@needs_nginx
def test_nginx_stands_in_the_routers_place(runs: dict[str, tuple[int, str, Path]]) -> None:
    """
    The same run in front of the same workers, answered by both of them.
    """
    code, text, folder = runs["nginx"]
    report = json.loads((folder / "report.json").read_text())
    figures = next(row["figures"] for row in report["runs"][0]["rows"] if row["figures"]["phase"] == "soak")

    assert code == 0, text
    assert report["runs"][0]["balancer"] == "nginx"
    assert set(figures["workers"]) == {"worker-1", "worker-2"}


def test_an_unknown_scenario_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The sentence names the ones there are.
    """
    assert main(["spike"]) == EXIT_USAGE
    assert "scaling" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--workers", "none"], ["--balancer", "x"], ["mixed", "--faults", "burn:1@3"]])
def test_a_setting_that_cannot_be_used_is_one_sentence(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """
    Before anything is started, and without a traceback.
    """
    assert main(options) == 3
    assert capsys.readouterr().err.startswith("error: ")


def test_a_folder_without_clips_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Known before a fleet is started for nothing.
    """
    assert main(["mixed", "--samples", str(tmp_path)]) == 3
    assert "texts.json" in capsys.readouterr().err
