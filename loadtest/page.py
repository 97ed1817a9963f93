"""The report as one HTML page that needs nothing else: plots inside, readable on a desk and on a telephone."""

from base64 import b64encode
from collections.abc import Mapping
from html import escape

from loadtest.plots import NARROW, WIDE, Plot, png
from loadtest.report import HEADINGS, Report, RunReport, cells

STYLE = """
:root { color-scheme: light; --ink: #1c2024; --soft: #5b6570; --line: #dfe3e8; --good: #00795a; --bad: #b3401a; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1160px; padding: 24px 20px 48px; background: #fff; color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 4px; } h2 { font-size: 1.15rem; margin: 36px 0 10px; }
p { margin: 6px 0; } .soft { color: var(--soft); font-size: .9rem; }
code { font-size: .85rem; background: #f3f5f7; padding: 2px 6px; border-radius: 4px; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 20px 0; }
.tile { border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px; }
.tile b { display: block; font-size: 1.4rem; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: .85rem; }
.good { color: var(--good); } .bad { color: var(--bad); }
ul { margin: 6px 0; padding-left: 20px; } img { width: 100%; height: auto; display: block; }
figure { margin: 0; } figcaption { color: var(--soft); font-size: .9rem; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 5px 8px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; } th:first-child, td:first-child, .text { text-align: left; }
tr.kind td { color: var(--soft); } tr.kind td:first-child { padding-left: 22px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 14px; font-size: .9rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 720px) {
  body { padding: 16px 14px 40px; }
  .tiles { grid-template-columns: 1fr 1fr; }
  table, tbody, tr, td { display: block; width: 100%; } thead { display: none; }
  tr { border: 1px solid var(--line); border-radius: 8px; padding: 8px 12px; margin-bottom: 10px;
    display: grid; grid-template-columns: 1fr 1fr; column-gap: 18px; }
  td { border: 0; padding: 1px 0; display: flex; justify-content: space-between; }
  td::before { content: attr(data-name); color: var(--soft); }
  td:first-child { grid-column: 1 / -1; font-weight: 600; } td:first-child::before { content: none; }
  tr.kind td:first-child { padding-left: 0; }
}
"""

PROSE = """
<p>Latency counts from when a call was <em>due</em>, so a server that stalls cannot hide behind calls not yet sent.
P50, P95 and P99 are nearest-rank over all answered calls of the row. <em>right/s</em> counts only answers with the
right words; refusals (429, 503) stand under <em>shed</em>, everything else that went wrong under <em>error</em>.
<em>RTFx</em> is seconds of audio per second of latency (median), <em>wait</em> the time in the queue where the server
tells it. The knee is where throughput per P95 is highest.</p>
"""


def page(report: Report, plots: dict[str, tuple[str, Plot]]) -> str:
    """The whole page."""
    parts = [
        "<h1>Load test</h1>",
        f'<p class="soft">{escape(report.made_at)} &middot; <code>{escape(report.command)}</code></p>',
        _verdict(report),
        _tiles(report),
        *(_plot(caption, plot) for caption, plot in plots.values()),
        "<h2>Figures</h2>",
        PROSE,
        *(_run(run) for run in report.runs),
        "<h2>Measured with</h2>",
        _pairs(report.machine),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Load test</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _verdict(report: Report) -> str:
    if not report.complaints:
        lines = '<p class="good">Every answer had the right words, and no call failed.</p>'
    else:
        items = "".join(f"<li>{escape(text)}</li>" for text in report.complaints)
        lines = f'<ul class="bad">{items}</ul>'
    notes = "".join(f"<li>{escape(text)}</li>" for text in report.warnings)
    return lines + (
        f'<p class="soft">Know before you trust the figures:</p><ul class="soft">{notes}</ul>' if notes else ""
    )


def _tiles(report: Report) -> str:
    tiles = [
        (f"{point.requests_per_s:.1f}/s", f"{point.workers} worker{'s' * (point.workers != 1)}, {point.balancer}, "
         f"all slots busy: {point.efficiency:.2f} of ideal")
        for point in report.scaling
    ]  # fmt: skip
    tiles += [
        (f"{run.knee.rate_per_s:.1f}/s", f"knee at {1000 * run.knee.p95_s:.0f} ms P95: {run.title}")
        for run in report.runs
        if run.knee
    ]
    shown = "".join(f'<div class="tile"><b>{escape(big)}</b><span>{escape(text)}</span></div>' for big, text in tiles)
    return f'<div class="tiles">{shown}</div>' if tiles else ""


def _plot(caption: str, plot: Plot) -> str:
    return (
        f"<h2>{escape(caption)}</h2><figure><picture>"
        f'<source media="(max-width: 720px)" srcset="{_inline(png(plot, NARROW))}">'
        f'<img alt="{escape(caption)}" src="{_inline(png(plot, WIDE))}"></picture></figure>'
    )


def _run(run: RunReport) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in HEADINGS)
    rows = "".join(_row(cells(row.figures), row.figures.kind != "all") for row in run.rows)
    busy = run.rows[-1].cores if run.rows else {}
    cores = ", ".join(f"{part} {used:.2f}" for part, used in busy.items())
    about = f"{run.mix} clips, seed {run.seed}, full load {run.capacity_per_s:.2f} calls/s"
    about += f"; model {run.model}" if run.model else f"; {run.url}"
    about += f"; cores busy in the last phase: {cores}" if cores else ""
    return (
        f"<h2>{escape(run.title)}</h2><p class='soft'>{escape(about)}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _row(values: list[str], is_kind: bool) -> str:
    named = zip(HEADINGS, values, strict=True)
    tds = "".join(f'<td data-name="{escape(name)}">{escape(value)}</td>' for name, value in named)
    return f'<tr class="{"kind" if is_kind else ""}">{tds}</tr>'


def _pairs(pairs: Mapping[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs.items()) + "</dl>"


def _inline(picture: bytes) -> str:
    return f"data:image/png;base64,{b64encode(picture).decode()}"
