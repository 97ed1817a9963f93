"""The verdict, and the table on the terminal."""

from collections.abc import Callable
from io import StringIO

from rich.console import Console

from loadtest.outcome import Ending, Outcome
from loadtest.report import Report, table
from loadtest.scale import Leg

MakeLeg, Made = Callable[..., Leg], Callable[..., Report]


def test_a_good_run_has_nothing_to_complain_about(leg: MakeLeg, made: Made) -> None:
    """
    Two workers do nearly twice what one does, and every word was right.
    """
    report = made(leg(1, 10), leg(2, 19))

    assert report.complaints == []
    assert [round(point.efficiency, 2) for point in report.scaling] == [1.0, 0.95]
    assert report.runs[0].rows[0].cores == {"workers": 0.8}


def test_bad_scaling_is_complained_about(leg: MakeLeg, made: Made) -> None:
    """
    With both figures.
    """
    assert "2 workers behind router do 0.70" in made(leg(1, 10), leg(2, 14)).complaints[0]


def test_a_wrong_word_and_an_error_are_complained_about_and_a_refusal_is_not(
    leg: MakeLeg, made: Made, outcome: Callable[..., Outcome]
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


def test_a_late_generator_is_owned_up_to(leg: MakeLeg, made: Made, outcome: Callable[..., Outcome]) -> None:
    """
    Whoever reads the figures is told that they are the generator's.
    """
    late = outcome(31, phase="load 0.30", sent_s=31.5)

    assert "500 ms late" in made(leg(1, 10, late)).warnings[0]


def test_the_table_has_a_row_for_every_phase(leg: MakeLeg, made: Made) -> None:
    """
    As it stands on a terminal.
    """
    console = Console(width=200, record=True, file=StringIO())
    console.print(table(made(leg(1, 10))))
    text = console.export_text()

    assert all(phase in text for phase in ("saturate", "load 0.30", "load 0.60", "load 0.90"))
