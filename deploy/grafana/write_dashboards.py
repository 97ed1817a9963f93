"""
Writes dashboards/*.json from boards.py: what Grafana wants around each question.

    python deploy/grafana/write_dashboards.py            write them
    python deploy/grafana/write_dashboards.py --check    say whether they are as they would be written
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from boards import BOARDS, Board, Panel

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24  # Grafana's grid
GREEN: dict[str, Any] = {"color": "green", "value": None}


def dashboard(board: Board) -> dict[str, Any]:
    """As Grafana reads it."""
    return {
        "uid": board.uid,
        "title": board.title,
        "tags": ["whisper-fleet"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": board.since, "to": "now"},
        "timezone": "",
        "links": [
            {
                "type": "dashboards",
                "tags": ["whisper-fleet"],
                "title": "whisper-fleet",
                "includeVars": False,
                "keepTime": True,
            }
        ],
        "templating": {"list": [_datasource(), *(_variable(*one) for one in board.variables)]},
        "panels": _panels(board),
    }


def _panels(board: Board) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in board.rows:
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": title, "gridPos": _place(0, y, WIDTH, 1), "panels": []}
        )
        x, y, tallest = 0, y + 1, 0
        for panel in row:
            if x + panel.width > WIDTH:
                x, y, tallest = 0, y + tallest, 0
            panels.append(_panel(panel, len(panels) + 1, _place(x, y, panel.width, panel.height)))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest
    return panels


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + at), "datasource": SOURCE, "expr": expr, "legendFormat": legend or "__auto"}
        for at, (expr, legend) in enumerate(panel.asks)
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": place,
        "targets": targets,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps = [GREEN]
    if panel.red_from is not None:
        low, high = ("red", "green") if panel.red_below else ("green", "red")
        steps = [{"color": low, "value": None}, {"color": high, "value": panel.red_from}]
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "noValue": "none yet",
    }
    if panel.kind == "timeseries":
        style = {"mode": "dashed"} if panel.red_from is not None else {"mode": "off"}
        stacking = {"mode": "normal", "group": "A"} if panel.stacked else {"mode": "none", "group": "A"}
        fill = 25 if panel.stacked else 8
        defaults |= {"min": 0, "custom": {"fillOpacity": fill, "stacking": stacking, "thresholdsStyle": style}}
    if panel.names:
        options = {value: {"text": text, "index": at} for at, (value, text) in enumerate(panel.names.items())}
        defaults["mappings"] = [{"type": "value", "options": options}]
    return defaults


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    if panel.kind == "state-timeline":
        return {"showValue": "auto", "mergeValues": True, "legend": {"showLegend": False}}
    return {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}, "tooltip": {"mode": "multi"}}


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _variable(name: str, query: str) -> dict[str, Any]:
    everything = {"text": "All", "value": "$__all", "selected": True}
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": query,
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": everything,
    }


def main(arguments: list[str]) -> int:
    """Write, or check; returns the exit code."""
    texts = {FOLDER / f"{name}.json": json.dumps(dashboard(board), indent=1) + "\n" for name, board in BOARDS.items()}
    if "--check" in arguments:
        stale = [path.name for path, text in texts.items() if not path.is_file() or path.read_text() != text]
        print(f"stale: {', '.join(stale)}; run deploy/grafana/write_dashboards.py" if stale else "all as written")
        return int(bool(stale))
    FOLDER.mkdir(exist_ok=True)
    for path, text in texts.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
