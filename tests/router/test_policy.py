from random import Random

import pytest

from fleet.cost import Cost, CostModel
from router.policy import POLICIES
from tests.router.made import pool_of, workers_of


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_picks_one_of_the_candidates(name):
    """
    What every policy must do, and not more than that.
    """
    pool = pool_of(4)
    pick = POLICIES[name](pool, Random(1))

    for count in (1, 2, 4):
        candidates = workers_of(pool)[:count]
        assert {pick(candidates, 5.0, 0.0) for _ in range(50)} <= set(candidates)


@pytest.mark.parametrize("name", POLICIES)
def test_no_policy_favours_the_first_listed_when_all_are_equal(name):
    """
    Ties fall at random or in turn, not to whoever is first.
    """
    pool = pool_of(4)
    pick = POLICIES[name](pool, Random(1))

    picks = [pick(workers_of(pool), 5.0, 0.0) for _ in range(400)]

    assert all(picks.count(worker) > 60 for worker in workers_of(pool))


def test_least_work_prefers_the_worker_that_would_be_done_first():
    """
    Outstanding seconds count, and so does the worker's own speed.
    """
    pool = pool_of(2, slots=4)
    slow, fast = workers_of(pool)
    for _ in range(10):
        slow.cost_model.learn(10, 5.0)
        fast.cost_model.learn(10, 0.5)
    pick = POLICIES["least_work"](pool, Random(1))
    assert pick([slow, fast], 10, 0) is fast

    fast.lease(0, est_s=60, audio_s=600)
    assert pick([slow, fast], 10, 0) is slow


def test_least_connections_counts_what_others_sent():
    """
    A worker that is busy for another router is not idle.
    """
    pool = pool_of(2, slots=4)
    first, second = workers_of(pool)
    first.report = first.report and type(first.report)(**{**first.report.to_json(), "in_flight": 3, "mine": 0})
    pick = POLICIES["least_connections"](pool, Random(1))

    assert {pick([first, second], 1, 0) for _ in range(20)} == {second}


def test_a_newcomer_is_taken_to_be_like_the_others():
    """
    A worker that has done nothing has no speed of its own; it must not look infinitely fast.
    """
    pool = pool_of(3)
    for worker in workers_of(pool)[:2]:
        worker.cost_model = CostModel(Cost(0.05, 0.1))
        for _ in range(6):
            worker.cost_model.learn(10, 2.0)

    assert pool.cost_of(workers_of(pool)[2]).seconds(10) == pytest.approx(2.0)
