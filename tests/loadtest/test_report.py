"""The report in all its forms."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from loadtest.__main__ import write
from loadtest.faults import Fault, FaultKind
from loadtest.outcome import Ending, Heading, Outcome, PhaseSpan, Record
from loadtest.report import Report, report_of, table
from loadtest.run import Ran
from loadtest.scale import Leg, Stop
from loadtest.usage import Sample


def span(phase: str, begin_s: float, *, load: float = 0.0) -> PhaseSpan:
    return PhaseSpan(
        phase=phase,
        begin_s=begin_s,
        end_s=begin_s + 10,
        clients=0 if load else 4,
        load=load,
        rate_per_s=10 * load,
        capacity_per_s=10,
        is_measured=True,
    )


@pytest.fixture
def leg(outcome: Callable[..., Outcome]) -> Callable[..., Leg]:
    """`leg(workers, per_s)`: a scaling run that did so many answers a second when saturated."""

    def make(workers: int, per_s: int, *more: Outcome) -> Leg:
        spans = [span("saturate", 0), *(span(f"load {n / 10:.2f}", 10 * n, load=n / 10) for n in (3, 6, 9))]
        calls = [outcome(n / per_s, 0.05, phase="saturate") for n in range(10 * per_s - 1)]
        calls += [outcome(10 * n + k, 0.01 * n, phase=f"load {n / 10:.2f}") for n in (3, 6, 9) for k in range(9)]
        heading = Heading(scenario="scaling", url="http://127.0.0.1:1", seed=1, mix="short", began_s=0)
        return Leg(
            stop=Stop(scenario="scaling", workers=workers, balancer="router", model="fake:0.1"),
            ran=Ran(
                record=Record(heading, spans, [*calls, *more]),
                samples=[Sample(10.0 * n, {"workers": 8.0 * n}) for n in range(5)],
                faults=[Fault(FaultKind.STALL, 1, 12, 2)],
            ),
        )

    return make


def made(*legs: Leg, least: float = 0.8) -> Report:
    return report_of(
        legs, made_at="now", command="loadtest <x>", machine={"cores": "2"}, wrong_above=0.05, least_efficiency=least
    )


def test_a_good_run_has_nothing_to_complain_about(leg: Callable[..., Leg]) -> None:
    """
    Two workers do nearly twice what one does, and every word was right.
    """
    report = made(leg(1, 10), leg(2, 19))

    assert report.complaints == []
    assert [round(point.efficiency, 2) for point in report.scaling] == [1.0, 0.95]
    assert report.runs[0].rows[0].cores == {"workers": 0.8}


def test_bad_scaling_is_complained_about(leg: Callable[..., Leg]) -> None:
    """
    With both figures.
    """
    assert "2 workers behind router do 0.70" in made(leg(1, 10), leg(2, 14)).complaints[0]


def test_a_wrong_word_and_an_error_are_complained_about_and_a_refusal_is_not(
    leg: Callable[..., Leg], outcome: Callable[..., Outcome]
) -> None:
    """
    Busy is an answer too.
    """
    wrong = outcome(31, phase="load 0.30", said="a b", heard="a c", words=2)
    error = outcome(61, phase="load 0.60", ending=Ending.ERROR, why="500 internal_error")
    shed = outcome(91, phase="load 0.90", ending=Ending.SHED, why="503 overloaded")
    complaints = made(leg(1, 10, wrong, error, shed)).complaints

    assert len(complaints) == 2
    assert "load 0.30: 1 answers with wrong words" in complaints[0]
    assert "500 internal_error" in complaints[1]


def test_a_late_generator_is_owned_up_to(leg: Callable[..., Leg], outcome: Callable[..., Outcome]) -> None:
    """
    Whoever reads the figures is told that they are the generator's.
    """
    late = outcome(31, phase="load 0.30", sent_s=31.5)

    assert "500 ms late" in made(leg(1, 10, late)).warnings[0]


def test_the_report_is_written_in_all_forms(leg: Callable[..., Leg], tmp_path: Path) -> None:
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


def test_the_table_has_a_row_for_every_phase(leg: Callable[..., Leg]) -> None:
    """
    As it stands on a terminal.
    """
    console = Console(width=200, record=True, file=StringIO())
    console.print(table(made(leg(1, 10))))
    text = console.export_text()

    assert all(phase in text for phase in ("saturate", "load 0.30", "load 0.60", "load 0.90"))
