"""The audio that is kept."""

import io
import wave

from router.realtime.track import RATE, Track, wav


def pcm(*samples: int) -> bytes:
    return b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)


def test_positions_stay_when_audio_is_forgotten():
    """A stretch is found by its place in the session, however much before it is gone."""
    track = Track()
    track.append(pcm(0, 1, 2, 3))
    track.forget_before(2)
    track.append(pcm(4, 5))
    assert (track.start, track.end) == (2, 6)
    assert track.cut(3, 5) == pcm(3, 4)


def test_what_is_not_there_is_left_out():
    """Before the beginning, after the end, or the wrong way round: what there is of it."""
    track = Track()
    track.append(pcm(0, 1, 2, 3))
    track.forget_before(1)
    assert track.cut(-5, 2) == pcm(1)
    assert track.cut(3, 100) == pcm(3)
    assert track.cut(3, 2) == b""
    track.forget_before(100)
    assert (track.start, track.end, track.kept_s) == (4, 4, 0)


def test_a_file_is_read_by_others():
    """A WAV file of one channel at 16 kHz."""
    with wave.open(io.BytesIO(wav(pcm(*range(100))))) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, RATE)
        assert reader.readframes(100) == pcm(*range(100))
