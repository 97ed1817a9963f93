from random import Random

from fleet.wire import WorkerState
from router.pool import Pool
from router.upstream import Health
from tests.router.made import pool_of, report, workers_of


def test_a_worker_that_is_no_longer_listed_finishes_what_it_has():
    """
    Gone from the list: nothing new, forgotten once idle.
    """
    pool = pool_of(2)
    leaving = workers_of(pool)[0]
    lease = leaving.lease(0, 1, 10)

    pool.set_known(["http://w1"], now=1)
    assert leaving.state == WorkerState.DRAINING
    assert "http://w0" in pool.workers

    lease.release()
    pool.set_known(["http://w1"], now=2)
    assert list(pool.workers) == ["http://w1"]


def test_a_silent_worker_is_out_after_three_probes_and_its_requests_are_told():
    """
    Whoever waits on it must be able to go elsewhere.
    """
    pool = pool_of(2)
    worker, _ = workers_of(pool)
    lost = []
    worker.lease(0, 1, 10).on_lost = lost.append

    for second in (1, 2, 3):
        pool.missed(worker, second, misses_limit=3)

    assert worker.health is Health.SILENT
    assert not worker.is_available(3)
    assert lost == ["3 probes unanswered"]


def test_a_silent_worker_keeps_what_it_runs_until_that_is_overdue():
    """
    On a starved machine or a bad line a long clip runs on unseen; taken away it would be lost again where it went.
    """
    pool = pool_of(2)
    worker, _ = workers_of(pool)
    lost = []
    worker.lease(0, 20, 1000).on_lost = lost.append

    for second in range(1, 60):
        pool.missed(worker, second, misses_limit=3)
    assert worker.health is Health.SILENT
    assert not lost

    pool.missed(worker, 60, misses_limit=3)
    assert lost


def test_busy_is_not_dead():
    """
    Probes that time out do not take out a worker that has answered something in the last ten seconds.
    """
    pool = pool_of(1)
    (worker,) = workers_of(pool)
    worker.heard_at = 0.0

    for second in range(1, 10):
        pool.missed(worker, second, misses_limit=3)
    assert worker.health is Health.UP

    pool.missed(worker, 11, misses_limit=3)
    assert worker.health is Health.SILENT


def test_a_refused_connection_takes_a_worker_out_at_once_until_a_probe_is_answered():
    """
    Nobody listens there: no need to try three times.
    """
    pool = pool_of(1)
    (worker,) = workers_of(pool)

    pool.refused(worker, 1)
    assert not worker.is_ready

    pool.heard(worker, report(boot="boot0"), 2)
    assert worker.is_ready


def test_a_new_boot_id_wipes_the_record():
    """
    A restarted process answers for itself only.
    """
    pool = pool_of(1)
    (worker,) = workers_of(pool)
    for _ in range(3):
        pool.failed(worker, 0, "lost")
    worker.cost_model.learn(10, 99)
    assert not worker.is_available(0)

    pool.heard(worker, report(boot="another"), 1)

    assert worker.is_available(1)
    assert worker.answered == 0
    assert "restarted" in [event for _, _, event, _ in pool.events.kept]


def test_with_over_half_of_the_fleet_out_everyone_who_accepts_is_used():
    """
    Better a worker that failed lately than none; but not one that refuses connections.
    """
    pool = pool_of(3)
    first, second, third = workers_of(pool)
    for worker in (first, second):
        for _ in range(3):
            pool.failed(worker, 0, "error")
    assert pool.is_panic(0)
    assert pool.available(0) == [third]

    third.lease(0, 1, 10)
    assert pool.available(0) == [first, second]

    pool.refused(first, 0)
    assert first not in pool.available(0)


def test_two_workers_of_one_name_are_told_apart():
    """
    A copied WORKER_ID: else metrics would have each series twice, and an operator would drain the wrong one.
    """
    pool = pool_of(2)
    first, second = workers_of(pool)
    for worker in (first, second):
        pool.heard(worker, report(worker_id="gpu", boot=f"{worker.boot}-again"), 1)

    assert (first.name, second.name) == ("gpu", "w1")

    pool.heard(first, report(worker_id="gpu", boot="third"), 2)
    assert first.name == "gpu"


def test_a_large_fleet_that_is_down_is_judged_once(monkeypatch):
    """
    With nobody ready, every request and every /readyz asks who is usable: that looks at the fleet once, not once a
    worker.
    """
    pool, judged = pool_of(50), []
    for worker in workers_of(pool):
        pool.refused(worker, 0)
    monkeypatch.setattr(pool, "is_panic", judged.append)

    assert pool.usable(1) == []
    assert judged == [1]


def test_a_worker_that_said_busy_is_left_alone_until_it_reports_a_free_slot():
    """
    No hot loop of refused dispatches.
    """
    pool = pool_of(1)
    (worker,) = workers_of(pool)

    pool.was_busy(worker, 1.0)
    assert not worker.has_free_slot(1.1)

    pool.heard(worker, report(boot="boot0"), 1.1)
    assert worker.has_free_slot(1.1)


def test_a_worker_that_is_loading_counts_for_nothing_yet():
    """
    Only ready workers have slots to count on.
    """
    pool = Pool(Random(1))
    worker = pool.add("http://w0", 0)
    assert pool.slots(0) == 0

    pool.heard(worker, report(state=WorkerState.LOADING), 1)
    assert pool.slots(1) == 0

    pool.heard(worker, report(), 2)
    assert pool.slots(2) == 1
