import pytest

from fleet.errors import NotFound
from router.offer import Offer
from tests.router.made import pool_of, report, workers_of


def test_each_model_is_offered_once():
    """
    Two workers with one model are one offer.
    """
    assert Offer(pool_of(2)).models() == ["tiny"]


def test_an_unknown_model_is_refused():
    """
    And the alias means whatever is there.
    """
    offer = Offer(pool_of(1))
    assert offer.resolve("whisper-1") is None
    assert offer.resolve("Systran/faster-whisper-tiny") == "tiny"
    with pytest.raises(NotFound):
        offer.resolve("gpt-9")


def test_a_script_plays_any_model():
    """
    Other people's test-suites name models that nobody holds.
    """
    pool = pool_of(1)
    pool.heard(workers_of(pool)[0], report(model="fake:0.1", is_scripted=True), 0.0)
    assert Offer(pool).is_scripted
    assert Offer(pool).resolve("gpt-9") is None
