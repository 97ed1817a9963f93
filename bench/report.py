"""BENCHMARKS.md: what is required, what was measured, on what, and what the figures leave out. Pure but for facts."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.bars import Bar

PACKAGES = ("whisper-fleet", "ctranslate2", "faster-whisper", "onnxruntime", "aiohttp", "uvloop")

NOTES = """\
Each ratio has both sides measured in turns in one run, and is the middle of the turns' ratios; in brackets stand the
least and the most of the turns. Callers, router, workers and bare loops share the cores named above, so a fleet also
pays for who calls it. A bare loop gets samples that are decoded already and calls features, encoder and decoder, on
one thread, pinned to a core as a worker is; it does no voice activity detection, which a worker must. Given the way in
which workers keep freed memory, a loop is faster: that row is for information. `tiny` and `base` have those models'
shapes and random weights, and decode 22 tokens a clip whatever they hear, so only their times mean something, not their
words. The scripted engine of the router's figures sleeps 20 ms a clip, and its callers pause up to 200 ms, so that what
is measured is the way through the router and not a queue before it.

Waits of mixed clips are played in virtual time by the shipped dispatcher: eight workers, the same arrivals for every
policy (`python -m tests.sim` prints the whole table). Not measured here: CUDA, which needs a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Circumstances of the measurements."""

    command: str
    made_at: str
    took_s: float
    turns: int
    turn_s: float
    cores: int
    others: float  # cores that other programs kept busy just before


def machine(cores: int) -> list[tuple[str, str]]:
    """The machine and the versions."""
    return [
        ("cores used", str(cores)),
        ("processor", processor()),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("Python", platform.python_version()),
        *((name, text) for name in PACKAGES if (text := _version(name))),
    ]


def markdown(bars: Sequence[Bar], run: Run, facts: Sequence[tuple[str, str]], picture: str | None) -> str:
    """The page."""
    lines = ["# Benchmarks", "", f"Written by `{run.command}` on {run.made_at}, in {run.took_s / 60:.0f} minutes"]
    lines[-1] += f" ({run.turns} turns of {run.turn_s:g} s a side)."
    lines += ["", "| what | required | measured | | figures |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {bar.what} | {bar.required} | {bar.shown} | {_verdict(bar)} | {bar.detail} |" for bar in bars]
    if picture is not None:
        lines += ["", f"![what was measured, as a share of what is required]({picture})"]
    lines += ["", "## Machine", "", "| | |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in facts)]
    lines += [f"| other programs just before | {run.others:.2f} cores of {run.cores} |"]
    return "\n".join([*lines, "", "## How", "", NOTES, ""])


def processor() -> str:
    """Its name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} logical cores"


def _verdict(bar: Bar) -> str:
    if not bar.required:
        return ""
    return "met" if bar.is_met() else "**missed**"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
