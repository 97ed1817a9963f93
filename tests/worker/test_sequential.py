"""One window after the other, with the embedded model."""

import pytest

pytestmark = pytest.mark.real


async def test_without_voice_activity_detection_a_clip_is_decoded_in_sequence(digits, clips):
    """The fallback path answers like the other on a clip of one run."""
    clip = clips["digits-short-george.wav"]

    windows = await digits.send(clip)
    sequence = await digits.send(clip, vad_filter="false")

    assert windows.json["text"] == sequence.json["text"] == "five seven nine zero one"


async def test_sequential_segments_have_ids_and_times_in_order(digits, clips):
    """Numbered from 0, inside the clip."""
    answer = (await digits.send(clips["half-minute.wav"], vad_filter="false", response_format="verbose_json")).json

    assert [segment["id"] for segment in answer["segments"]] == list(range(len(answer["segments"])))
    times = [(segment["start"], segment["end"]) for segment in answer["segments"]]
    assert times == sorted(times)
    assert all(0 <= start <= end <= answer["duration"] for start, end in times)
