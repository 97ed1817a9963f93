"""What crosses between worker and router survives the crossing."""

import json

import pytest

from fleet.wire import LoadReport, Segment, Transcript, WorkerState

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


@pytest.mark.parametrize("broken", [{}, {"state": "ready"}, REPORT.to_json() | {"state": "asleep"}])
def test_what_is_no_report_is_refused(broken):
    """A stranger's JSON raises ValueError, nothing else."""
    with pytest.raises(ValueError):
        LoadReport.from_json(broken)


def test_text_joins_segments_as_the_tokenizer_spaced_them():
    """Segments bring their own leading spaces; only the ends are trimmed."""
    segments = (Segment(id=0, start=0, end=1, text=" one"), Segment(id=1, start=1, end=2, text=" two,"))
    transcript = Transcript(segments=segments, language="en", language_probability=1.0, duration_s=3.0)

    assert transcript.text == "one two,"
