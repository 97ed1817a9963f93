"""The plots: which there are, and that they are pictures."""

from collections.abc import Callable
from dataclasses import replace

from loadtest.plots import NARROW, WIDE, plots_of, png
from loadtest.report import Report
from loadtest.scale import Leg


def test_only_what_was_measured_is_drawn(leg: Callable[..., Leg], made: Callable[..., Report]) -> None:
    """
    One fleet size says nothing about scaling, one kind of clip nothing about short against long.
    """
    assert set(plots_of(made(leg(1, 10)))) == {"latency", "time-1"}
    assert set(plots_of(made(leg(1, 10), leg(2, 19)))) == {"scaling", "latency", "time-1", "time-2"}


def test_every_axis_has_a_name_and_no_legend_lies_on_a_line(
    leg: Callable[..., Leg], made: Callable[..., Report]
) -> None:
    """
    Times with their unit; legends stand outside.
    """
    for name, (_, plot) in plots_of(made(leg(1, 10), leg(2, 19))).items():
        figure = plot(WIDE)
        for axes in figure.axes:
            assert axes.get_ylabel(), name
            assert axes.get_xlabel() or axes is not figure.axes[0], name
            assert "answered" not in axes.get_ylabel() or axes.get_ylabel().endswith(", ms")
            assert axes.get_legend() is None
        assert figure.legends


def test_a_report_without_runs_has_no_plots(made: Callable[..., Report]) -> None:
    """
    Rather than empty axes.
    """
    assert plots_of(made()) == {}


def test_a_run_in_which_nothing_ended_can_be_drawn(leg: Callable[..., Leg], made: Callable[..., Report]) -> None:
    """
    A dead server's report is a report too; each shape is a picture of its own.
    """
    report = made(leg(1, 10))
    dead = replace(report, runs=[replace(report.runs[0], slices=[])])
    _, plot = plots_of(dead)["time-1"]
    wide, narrow = png(plot, WIDE), png(plot, NARROW)

    assert wide.startswith(b"\x89PNG") and narrow.startswith(b"\x89PNG")
    assert wide != narrow
