from random import Random

from fleet.wire import Tier
from router.assign import Assigner
from router.policy import least_work
from router.pool import Pool
from router.queue_order import Queue
from tests.router.made import leases_of, pool_of, report, waiting, workers_of


def assigner_of(pool: Pool, *, reserved_slots: int = 0) -> tuple[Queue, Assigner]:
    queue = Queue(100)
    return queue, Assigner(queue, pool, least_work(pool, Random(1)), reserved_slots=reserved_slots)


def test_nobody_gets_more_than_its_slots():
    """
    Ten requests, three one-slot workers: three start, seven wait in the router.
    """
    pool = pool_of(3)
    queue, assigner = assigner_of(pool)
    for _ in range(10):
        queue.add(waiting())

    assert assigner.run(0) == 3
    assert len(queue) == 7
    assert [len(worker.leases) for worker in pool] == [1, 1, 1]


def test_a_freed_slot_goes_to_the_next_in_order():
    """
    Binding is late: who is next is decided when the slot is free.
    """
    pool = pool_of(1)
    queue, assigner = assigner_of(pool)
    long, later_short = waiting(at=0, est_s=60), waiting(at=1, est_s=0.1)
    running = waiting()
    queue.add(running)
    assigner.run(0)
    queue.add(long)
    queue.add(later_short)

    leases_of(running)[0].release()
    assigner.run(2)

    assert leases_of(later_short)
    assert not leases_of(long)


def test_deferred_requests_leave_the_reserved_slots_free():
    """
    The last slot is for realtime requests; a realtime request behind a deferred one is not held up.
    """
    pool = pool_of(2)
    queue, assigner = assigner_of(pool, reserved_slots=1)
    deferred = [waiting(at=number, tier=Tier.DEFERRED) for number in range(2)]
    realtime = waiting(at=5)
    for request in (*deferred, realtime):
        queue.add(request)

    assigner.run(5)

    assert leases_of(deferred[0])
    assert not leases_of(deferred[1])
    assert leases_of(realtime)


def test_a_request_does_not_return_to_the_process_that_failed_on_it():
    """
    Unless there is no other; and a restarted process is another.
    """
    pool = pool_of(2)
    first, second = workers_of(pool)
    queue, assigner = assigner_of(pool)
    held = second.lease(0, 1, 10)
    retried = waiting(tried={"boot0"})
    queue.add(retried)
    assert assigner.run(0) == 0

    pool.heard(first, report(worker_id="w0", boot="boot0-again"), 1)
    assert assigner.run(1) == 1
    assert leases_of(retried)[0].worker is first
    held.release()


def test_with_one_worker_a_retry_goes_back_to_it():
    """
    Rather the same worker again than no answer.
    """
    pool = pool_of(1)
    queue, assigner = assigner_of(pool)
    queue.add(waiting(tried={"boot0"}))

    assert assigner.run(0) == 1


def test_a_worker_on_trial_gets_the_smallest_request_and_only_one():
    """
    Half-open: what is least lost decides whether it is back.
    """
    pool = pool_of(2, slots=4)
    broken, good = workers_of(pool)
    for _ in range(3):
        pool.failed(broken, 0, "lost")
    now = 10.0
    requests = [waiting(at=number, est_s=size) for number, size in enumerate((5, 0.1, 3, 2, 4, 6))]
    queue, assigner = assigner_of(pool)
    for request in requests:
        queue.add(request)

    assigner.run(now)

    assert [lease.worker for lease in leases_of(requests[1])] == [broken]
    assert (len(broken.leases), len(good.leases)) == (1, 4)


def test_every_worker_on_trial_gets_its_chance():
    """
    The first may suit nobody who waits, for its model or because it failed on them; then the next is tried.
    """
    pool = pool_of(2)
    for worker in workers_of(pool):
        for _ in range(3):
            pool.failed(worker, 0, "lost")
    queue, assigner = assigner_of(pool)
    retried = waiting(tried={"boot0"})
    queue.add(retried)

    assert assigner.run(10.0) == 1
    assert [lease.worker.name for lease in leases_of(retried)] == ["w1"]

    pool.heard(workers_of(pool)[0], report(worker_id="w0", boot="boot0", model="large-v3"), 10.0)
    leases_of(retried)[0].release()
    other_model = waiting(model="tiny")
    queue.add(other_model)

    assert assigner.run(10.0) == 1
    assert [lease.worker.name for lease in leases_of(other_model)] == ["w1"]


def test_a_worker_on_trial_takes_no_deferred_request_where_slots_are_reserved():
    """
    Its one slot may be the last that a realtime request could have.
    """
    pool = pool_of(1)
    for _ in range(3):
        pool.failed(workers_of(pool)[0], 0, "lost")
    queue, assigner = assigner_of(pool, reserved_slots=1)
    deferred, realtime = waiting(tier=Tier.DEFERRED, est_s=0.1), waiting(est_s=60)
    queue.add(deferred)
    queue.add(realtime)

    assigner.run(10.0)

    assert leases_of(realtime)
    assert not leases_of(deferred)


def test_no_two_requests_under_which_a_worker_died_run_together():
    """
    One of them may be what it died of; beside others each may run, and after half a minute it has shown itself.
    """
    pool = pool_of(2, slots=4)
    queue, assigner = assigner_of(pool)
    suspects = [waiting(at=number, is_suspect=True) for number in range(3)]
    others = [waiting(at=9 + number) for number in range(4)]
    for request in (*suspects, *others):
        queue.add(request)

    assert assigner.run(20) == 6
    assert not leases_of(suspects[2])
    assert all(map(leases_of, others))
    assert leases_of(suspects[0])[0].worker is not leases_of(suspects[1])[0].worker

    assert assigner.run(21) == 0
    assert assigner.run(51) == 1


def test_a_header_that_promises_little_buys_no_turns():
    """
    One key's clips promise nothing and hold their slot for 10 s, another's promise the 10 s that they hold it: of ten
    turns each has five.
    """
    pool = pool_of(1)
    queue, assigner = assigner_of(pool)
    lies = [waiting(tenant="liar", est_s=0) for _ in range(10)]
    truths = [waiting(tenant="honest", est_s=10) for _ in range(10)]
    for request in (*lies, *truths):
        queue.add(request)

    for now in range(0, 100, 10):
        assert assigner.run(now) == 1
        (lease,) = workers_of(pool)[0].leases
        assigner.end(lease, now + 10)

    assert 4 <= sum(map(bool, map(leases_of, truths))) <= 6


def test_a_request_for_one_model_waits_for_a_worker_that_has_it():
    """
    Others pass it meanwhile.
    """
    pool = pool_of(1)
    queue, assigner = assigner_of(pool)
    other_model, any_model = waiting(at=0, model="large-v3"), waiting(at=1)
    queue.add(other_model)
    queue.add(any_model)

    assert assigner.run(1) == 1
    assert leases_of(any_model)
    assert not leases_of(other_model)


def test_an_ejected_worker_is_no_other_to_wait_for():
    """
    A request that failed on the only usable worker goes back to it, rather than wait out an ejection.
    """
    pool = pool_of(2)
    first, second = workers_of(pool)
    for _ in range(3):
        pool.failed(second, 0, "lost")
    queue, assigner = assigner_of(pool)
    queue.add(retried := waiting(tried={"boot0"}))

    assert assigner.run(0) == 1
    assert leases_of(retried)[0].worker is first


def test_a_crowd_that_waits_for_another_model_is_passed_over(monkeypatch):
    """
    One look for all of them at each free worker: it is taken whenever a probe comes back, many times a second.
    """
    pool = pool_of(8)
    queue, assigner = assigner_of(pool)
    looks, may_take = [], assigner.may_take
    monkeypatch.setattr(assigner, "may_take", lambda *asked: looks.append(asked) or may_take(*asked))
    for _ in range(99):
        queue.add(waiting(model="large-v3"))
    queue.add(late := waiting(at=1))

    assert assigner.run(1) == 1
    assert leases_of(late)
    assert len(looks) == 8 + 8 + 7  # for the crowd, for the late one, and for the crowd again at those left
