"""The page, and all that is written beside it."""

import json
from collections.abc import Callable
from pathlib import Path

from loadtest.__main__ import write
from loadtest.report import Report
from loadtest.scale import Leg


def test_the_report_is_written_in_all_forms(
    leg: Callable[..., Leg], made: Callable[..., Report], tmp_path: Path
) -> None:
    """
    JSON that can be read back, plots, and a page that needs nothing else and runs nothing.
    """
    page = write(made(leg(1, 10), leg(2, 19)), tmp_path).read_text()
    report = json.loads((tmp_path / "report.json").read_text())

    assert {file.stem for file in tmp_path.glob("*.png")} == {"scaling", "latency", "time-1", "time-2"}
    assert report["scaling"][1]["workers"] == 2
    assert "loadtest &lt;x&gt;" in page
    assert "<script" not in page
    assert 'src="http' not in page and 'srcset="http' not in page
    assert page.count("data:image/png;base64,") == 8
