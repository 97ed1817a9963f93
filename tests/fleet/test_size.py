"""How many workers a load needs: Erlang's formula, against a queue that is played through, and the command."""

import heapq
import math
import re
from pathlib import Path
from random import Random

import pytest

from fleet import size
from fleet.size import MEASURED, Load, SizeSettings

ROOT = Path(__file__).parents[2]


def played(load, workers, *, calls, rng):
    """The waits of `calls` calls, in seconds: exponential gaps and work, one line, the first worker that is free."""
    free, now, waits = [0.0] * workers, 0.0, []
    for _ in range(calls):
        now += rng.expovariate(load.calls_per_s)
        start = max(now, heapq.heappop(free))
        heapq.heappush(free, start + rng.expovariate(1 / load.work_s))
        waits.append(start - now)
    return waits


@pytest.mark.parametrize(
    ("busy", "workers", "known"), [(1, 2, 1 / 3), (0.5, 1, 0.5), (8, 10, 0.4092), (90, 100, 0.2169)]
)
def test_erlang_c_has_the_values_of_the_tables(busy, workers, known):
    """Single server: its load; two servers and one Erlang: a third; and two of the published tables' kind."""
    assert size.erlang_c(workers, busy) == pytest.approx(known, abs=2e-3)


@pytest.mark.parametrize(("busy", "workers"), [(0.7, 1), (3.2, 4), (18, 20)])
def test_formula_agrees_with_a_queue_that_is_played_through(busy, workers):
    """Share that waits, share that waits longer than half a second, mean wait: each within a tenth."""
    load = Load(busy / 1.5, 1.5)
    waits = played(load, workers, calls=200_000, rng=Random(7))
    count = len(waits)

    assert load.share_waiting(workers) == pytest.approx(sum(wait > 0 for wait in waits) / count, rel=0.1)
    assert load.share_waiting(workers, 0.5) == pytest.approx(sum(wait > 0.5 for wait in waits) / count, rel=0.1)
    assert load.mean_wait_s(workers) == pytest.approx(sum(waits) / count, rel=0.15)


def test_the_answer_is_the_fewest_that_keep_the_promise():
    """One fewer breaks it; twice the callers need less than twice the workers."""
    load, twice = Load(4, 1.65), Load(8, 1.65)
    workers = load.workers_for(1, 0.05)

    assert load.share_waiting(workers, 1) <= 0.05 < load.share_waiting(workers - 1, 1)
    assert twice.workers_for(1, 0.05) < 2 * workers


def test_a_line_that_grows_for_ever_is_said_to():
    """As many workers as are kept busy are too few."""
    assert Load(1, 3).share_waiting(3) == 1
    assert math.isinf(Load(1, 3).mean_wait_s(3))


def test_a_longer_clip_costs_windows():
    """A clip of 31 s takes two windows, one of 29 s takes one."""
    base = MEASURED["base"]
    assert base.work_s(31) - base.work_s(29) == pytest.approx(base.window_s + 2 * base.audio_s)


@pytest.mark.parametrize("model", MEASURED)
def test_figures_are_those_of_the_benchmark(model):
    """The last recorded benchmark is not further away than another machine would be."""
    row = re.search(
        rf"^\| `{model}`: fleet of (\d+) workers against .*?\| ([\d.]+) \([\d.]+ \.\. [\d.]+\) of ",
        (ROOT / "BENCHMARKS.md").read_text(),
        re.MULTILINE,
    )
    work_s = int(row[1]) / float(row[2])
    assert 0.75 < MEASURED[model].work_s(5) / work_s < 1.33


def test_command_says_what_to_have(capsys):
    """Workers, cores with a spare, and the price."""
    assert size.main(["--callers", "40", "--model", "tiny", "--core-price", "0.05"]) == 0
    said = capsys.readouterr().out
    load = Load(4, MEASURED["tiny"].work_s(5))
    workers = load.workers_for(1, 0.05)
    assert f"workers    {workers}: busy" in said
    assert f"to have    {workers + 1} workers, {workers + 1} cores" in said
    assert f"price      {(workers + 1) * 0.05:.4g} an hour" in said


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--model", "large-v3"], "was not measured"),
        (["--threads", "4"], "needs RTF"),
        (["--callers", "0"], "CALLERS must be a whole number from 1 to 1000000; it is 0."),
        (["--callers", "1000000", "--rtf", "10"], "more than 10000 workers"),
    ],
    ids=" ".join,
)
def test_questions_without_an_answer(argv, said, capsys):
    """One sentence, exit code 2."""
    assert size.main(argv) == 2
    assert said in capsys.readouterr().err


def test_given_work_stands_before_measured():
    """RTF is what the user measured."""
    assert SizeSettings(rtf=0.1, clip_s=30, model="large-v3").work_s == pytest.approx(3)
