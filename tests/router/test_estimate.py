import pytest

from router.estimate import Estimator


def test_without_a_header_the_size_and_the_type_tell():
    """
    Prior bytes per second by container.
    """
    estimator = Estimator()

    assert estimator.audio_s(b"", 320_000, "audio/wav") == 10
    assert estimator.audio_s(b"", 80_000, "audio/mp4") == 10
    assert estimator.audio_s(b"", 160_000, "application/octet-stream") == 10


def test_bytes_per_second_are_learned_by_container():
    """
    Clips that were transcribed correct the guess for the next of their kind.
    """
    estimator = Estimator()
    head = b"OggS" + bytes(60)  # no times in it
    assert estimator.audio_s(head, 8_000) == 1

    for _ in range(100):
        estimator.learn(head, size_bytes=2_000, audio_s=1)

    assert estimator.audio_s(head, 8_000) == pytest.approx(4, rel=0.01)


def test_packed_silence_does_not_make_everything_long():
    """
    An hour in 20 kB is no measure of the next file of its kind.
    """
    estimator = Estimator()
    for _ in range(100):
        estimator.learn(b"fLaC", size_bytes=20_000, audio_s=3_600)

    assert estimator.audio_s(b"fLaC", 500_000) <= 1_000


def test_one_film_does_not_make_everything_short():
    """
    400 MB with a tenth of a second of sound: whatever comes next is guessed at a fifth of its length at least.
    """
    estimator = Estimator()
    estimator.learn(b"OggS", size_bytes=400_000_000, audio_s=0.1)

    assert estimator.audio_s(b"OggS", 8_000 * 3600) > 3600 / 5
