"""The locustfile as Locust itself reads it; test_run.py and test_pages.py run it."""

import json
import subprocess
import sys

from loadtest.run import LOCUSTFILE
from loadtest.scenarios import SCENARIOS


def _locust(*options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_locust_offers_every_scenario() -> None:
    """
    An unknown one is refused with the names of those there are.
    """
    refused = _locust("--scenario", "spike", "--headless")

    assert refused.returncode != 0
    assert all(f"'{name}'" in refused.stderr for name in SCENARIOS)


def test_both_kinds_of_user_are_there() -> None:
    """
    Callers that wait for answers, and arrivals that do not.
    """
    ratios = json.loads(_locust("--show-task-ratio-json", "--host", "http://127.0.0.1:9", "--users", "2").stdout)

    assert set(ratios["per_class"]) == {"Arrivals", "Caller"}
