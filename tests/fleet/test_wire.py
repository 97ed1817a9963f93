"""What crosses between worker and router survives the crossing."""

import json
import math

import pytest

from fleet.wire import DURATION, LoadReport, Segment, Transcript, WorkerState, duration_s

REPORT = LoadReport(
    worker_id="w1",
    boot="b1",
    state=WorkerState.READY,
    model="spoken-digits",
    slots=1,
    in_flight=1,
    queue_depth=2,
    queue_limit=10,
    work_s=1.5,
    languages=("en", "de"),
)


def test_report_survives_json():
    """Through JSON text and back it is the same report, enums and tuples included."""
    assert LoadReport.from_json(json.loads(json.dumps(REPORT.to_json()))) == REPORT


def test_header_is_one_short_line():
    """The header form fits a header and can be read back; what never changes falls to its defaults."""
    header = REPORT.to_header()

    assert "\n" not in header
    assert len(header) < 512
    read = LoadReport.from_json(json.loads(header))
    assert (read.worker_id, read.queue_depth, read.work_s) == ("w1", 2, 1.5)


def test_newer_report_is_understood():
    """Keys of a later version are left out."""
    assert LoadReport.from_json(REPORT.to_json() | {"colour": "red"}) == REPORT


@pytest.mark.parametrize("broken", [{}, {"state": "ready"}, 5, None, "x", [], [1]])
def test_what_is_no_report_is_refused(broken):
    """A stranger's JSON raises ValueError, nothing else."""
    with pytest.raises(ValueError):
        LoadReport.from_text(json.dumps(broken))


@pytest.mark.parametrize(
    "name, value",
    [
        ("state", "asleep"),
        *(("slots", value) for value in ("x", 0, -3, 1e308, 1.5, None)),
        *(("rtf", value) for value in ("fast", math.nan, math.inf, -1)),
        *(("work_s", value) for value in (math.nan, math.inf, None)),
        *((name, value) for name in ("worker_id", "boot", "model", "device") for value in (None, 7, {}, [1])),
        *(("languages", value) for value in (None, "en", [{}], {"en": 1})),
        ("in_flight", None),
        ("is_scripted", "yes"),
    ],
)
def test_a_report_with_a_value_of_another_kind_is_none(name, value):
    """The router counts with what stands in it: one wrong value and the whole is refused."""
    with pytest.raises(ValueError, match=name if name != "state" else "asleep"):
        LoadReport.from_text(json.dumps(REPORT.to_json() | {name: value}))


def test_nesting_without_end_is_no_report():
    """A thousand brackets raise ValueError, as other nonsense does."""
    with pytest.raises(ValueError):
        LoadReport.from_text(b"[" * 100_000)


@pytest.mark.parametrize("said", ["abc", "", "nan", "inf", "-5", "1e400"])
def test_a_duration_that_is_no_number_of_seconds_is_none(said):
    """Estimates, quotas and counters add it up: one infinity would stay in them for ever."""
    assert duration_s({DURATION: said}) == 0
    assert duration_s({DURATION: "1.5"}) == 1.5
    assert duration_s({}) == 0


def test_text_joins_segments_as_the_tokenizer_spaced_them():
    """Segments bring their own leading spaces; only the ends are trimmed."""
    segments = (Segment(id=0, start=0, end=1, text=" one"), Segment(id=1, start=1, end=2, text=" two,"))
    transcript = Transcript(segments=segments, language="en", language_probability=1.0, duration_s=3.0)

    assert transcript.text == "one two,"
