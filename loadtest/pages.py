"""The figures that Locust does not know, as a tab of their own on its pages."""

import json
from collections.abc import Callable
from typing import Any

from loadtest.measure import recent_figures
from loadtest.recorder import Tally

KEY = "speech"
COLUMNS = {
    "name": "Clips",
    "audio_s_per_s": "Audio seconds per second (last 10 s)",
    "rtfx_p50": "RTFx, median (audio s per s of latency)",
    "p95_ms": "P95 from when due (ms, last 10 s)",
    "queue_p95_ms": "Queue wait P95 (ms, last 10 s)",
    "shed_share": "Shed share (whole run)",
    "error_share": "Error share (whole run)",
    "wrong_share": "Answers with other words (whole run)",
}


def extend(web_ui: Any, tallies: Callable[[], dict[str, Tally]]) -> None:
    """Add the tab and its data to Locust's pages."""
    from flask import request  # noqa: PLC0415  part of Locust, where there are pages

    columns = [{"key": key, "title": title} for key, title in COLUMNS.items()]
    web_ui.template_args["extended_tabs"] = [{"title": "Speech", "key": KEY}]
    web_ui.template_args["extended_tables"] = [{"key": KEY, "structure": columns}]

    @web_ui.app.after_request
    def add_rows(response: Any) -> Any:
        if request.path == "/stats/requests" and response.is_json:
            response.set_data(json.dumps({**response.json, "extended_stats": [{"key": KEY, "data": rows(tallies())}]}))
        return response


def rows(tallies: dict[str, Tally]) -> list[dict[str, Any]]:
    """One row for all clips and one for each kind."""
    return [{"name": kind, "safe_name": kind, **recent_figures(tally)} for kind, tally in tallies.items()]
