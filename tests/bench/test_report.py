"""The page and the picture."""

from pathlib import Path

from bench import plot, report
from bench.bars import Bar

BARS = [
    Bar(what="`tiny`: this", measured=0.96, at_least=0.95, detail="1 of 2"),
    Bar(what="that", measured=7.0, at_most=5, unit="ms"),
    Bar(what="for information", measured=2.0),
]
RUN = report.Run(
    command="whisper-fleet bench", made_at="2026-01-01", took_s=600, turns=3, turn_s=8, cores=2, others=0.1
)


def test_every_bar_is_on_the_page_with_its_verdict():
    """Required, measured, met or missed; what has no limit has no verdict."""
    lines = report.markdown(BARS, RUN, [("cores used", "2")], "b.png").splitlines()
    assert "| `tiny`: this | >= 0.95 x | 0.960 x | met | 1 of 2 |" in lines
    assert "| that | <= 5 ms | 7.00 ms | **missed** |  |" in lines
    assert "| for information |  | 2.00 x |  |  |" in lines


def test_the_page_tells_on_what():
    """Command, machine, versions, and what else ran meanwhile."""
    page = report.markdown(BARS, RUN, report.machine(2), None)
    for wanted in ("whisper-fleet bench", "ctranslate2", "Python", "other programs just before | 0.10 cores of 2"):
        assert wanted in page


def test_margins_point_the_same_way():
    """Above one is met, whichever side the limit is on."""
    assert plot.margin(BARS[0]) > 1 > plot.margin(BARS[1])


def test_the_picture_is_a_picture(tmp_path: Path):
    """A PNG."""
    plot.draw(BARS, tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")
