"""Where the time went, as headers and log lines say it."""

import pytest

from fleet.stages import Stages

WHOLE = Stages(queue_s=0.0004, decode_s=0.002, encode_s=0.012, generate_s=0.03, engine_s=0.05, total_s=0.0525)


def test_a_header_is_read_as_it_was_written():
    """To a tenth of a millisecond; in the form that browsers show."""
    assert WHOLE.to_header() == (
        "queue;dur=0.4, decode;dur=2.0, encode;dur=12.0, generate;dur=30.0, engine;dur=50.0, total;dur=52.5"
    )
    assert Stages.from_header(WHOLE.to_header()) == WHOLE


def test_stages_that_were_not_reached_are_left_out():
    """A refusal in the queue has no engine time of 0, it has none."""
    assert Stages(queue_s=1, total_s=1).to_header() == "queue;dur=1000.0, total;dur=1000.0"


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "cache;desc=hit", "queue;dur=-1", "queue;dur=1e9", "queue;dur=nan", "x;dur=1, " * 1000],
    ids=range(7),
)
def test_what_is_not_ours_is_nothing(text):
    """Whatever stands behind a router may have put a header of its own there."""
    assert Stages.from_header(text).total_s == 0


def test_the_log_has_every_stage_in_milliseconds():
    """Named with their unit; the total is the line's took_ms."""
    assert WHOLE.for_log() == {
        "queue_ms": 0.4, "decode_ms": 2.0, "encode_ms": 12.0, "generate_ms": 30.0, "engine_ms": 50.0,
    }  # fmt: skip
