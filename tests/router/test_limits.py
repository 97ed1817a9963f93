"""Limits as people write them, as files keep them, as refusals say them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.limits import LimitError, Limits, parse_audio_hours, parse_rate


@pytest.mark.parametrize(
    ("text", "meant"),
    [("60/min", (60, 60)), ("5/s", (5, 1)), ("1000/day", (1000, 86_400)), (" 7/Hour ", (7, 3600))],
)
def test_rates(text, meant):
    """So many in a period of so many seconds."""
    assert parse_rate(text) == meant


@pytest.mark.parametrize(
    "text",
    ["", "60", "60/", "/min", "60/fortnight", "0/min", "-1/min", "1.5/s", "nan/s", "60/min "[::-1], "9" * 400 + "/s"],
)
def test_no_rates(text):
    """One sentence with an example."""
    with pytest.raises(LimitError):
        parse_rate(text)


def test_hours_of_audio():
    """By the day, said or not."""
    assert parse_audio_hours("100/day") == parse_audio_hours("100") == 360_000
    assert parse_audio_hours("0.5/day") == 1800
    with pytest.raises(LimitError, match="by the day"):
        parse_audio_hours("100/hour")


@given(
    st.builds(
        Limits,
        requests=st.just(60),
        per_s=st.sampled_from([1, 60, 90]),
        concurrency=st.none() | st.integers(1, 100),
        audio_s_per_day=st.none() | st.floats(1, 1e7),
    )
)
def test_a_file_gives_back_what_was_written(limits):
    """All limits, and the lack of them."""
    assert Limits.from_json(limits.to_json()) == limits


@pytest.mark.parametrize(
    "value",
    [None, [], {"rate": 1}, {"requests": 1}, {"concurrency": 0}, {"concurrency": "8"}, {"concurrency": True},
     {"concurrency": 1.5}, {"audio_s_per_day": float("nan")}, {"audio_s_per_day": -1},
     {"audio_s_per_day": float("inf")},
     {"requests": 10**400, "per_s": 1}],
)  # fmt: skip
def test_what_is_mistyped_is_refused(value):
    """Never taken for no limit."""
    with pytest.raises(LimitError):
        Limits.from_json(value)


def test_words():
    """As a caller reads them in a refusal."""
    limits = Limits(requests=60, per_s=60, concurrency=8, audio_s_per_day=360_000)
    assert str(limits) == "60 requests a minute, 8 requests at a time, 100 hours of audio a day"
    assert str(Limits()) == "no limits"
