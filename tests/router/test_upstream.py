import pytest

from router.upstream import PROVEN_AFTER
from tests.router.made import pool_of, report, workers_of


def test_a_lease_counts_until_it_is_given_back():
    """
    Once, however often that is done.
    """
    (worker,) = workers_of(pool_of(1))

    lease = worker.lease(0, 1.0, 10.0)
    assert not worker.has_free_slot(0)
    lease.release()
    lease.release()

    assert worker.has_free_slot(0)
    assert repr(worker) == "<Worker http://w0 ready, 0/1 in flight>"


def test_a_worker_gets_one_request_at_a_time_until_it_has_proved_itself():
    """
    Slow start by answers, not by time.
    """
    (worker,) = workers_of(pool_of(1, slots=8, is_proven=False))
    assert worker.free_slots(0) == 1

    worker.answered = PROVEN_AFTER

    assert worker.free_slots(0) == 8


def test_what_others_hold_is_counted_while_the_report_is_fresh():
    """
    Own requests are not counted twice, and an old report says nothing.
    """
    pool = pool_of(1, slots=4)
    (worker,) = workers_of(pool)
    pool.heard(worker, report(boot="boot0", slots=4, in_flight=3, mine=1, work_s=12.0, mine_s=4.0), now=10.0)

    assert worker.others(10) == 2
    assert worker.free_slots(10) == 2
    assert worker.outstanding_s(12) == pytest.approx(6.0)
    assert worker.others(20) == 0
    assert worker.outstanding_s(20) == 0


def test_an_overrunning_request_is_taken_to_need_a_fifth_more():
    """
    Work left is never negative, and never zero while something runs past its estimate.
    """
    (worker,) = workers_of(pool_of(1))
    lease = worker.lease(0, est_s=10, audio_s=100)

    assert lease.remaining_s(4) == 6
    assert lease.remaining_s(20) == 4
