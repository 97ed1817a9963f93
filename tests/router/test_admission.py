import math
from random import Random
from typing import Any

import pytest

from fleet.errors import DeadlineExceeded, Unavailable
from router.admission import Admission, Ask, level
from router.pool import Pool
from router.queue_order import Queue
from router.ticket import Ticket
from tests.router.made import pool_of, report, waiting, workers_of


def admission_of(pool: Pool, queue: Queue, *, max_wait_s: float = 120) -> Admission:
    return Admission(queue, pool, Ticket(Random(1)), max_wait_s=max_wait_s, alpha_s=10)


def ask(*, audio_s: float = 10, at: float = 0, deadline_at: float = math.inf, **more: Any) -> Ask:
    return Ask(audio_s=audio_s, arrived_at=at, deadline_at=deadline_at, **more)


def test_a_free_slot_lets_anyone_in():
    """
    Nobody waits, a slot is free: no expected wait.
    """
    admission = admission_of(pool_of(1), Queue(limit=0))  # nobody may wait, and nobody has to

    admission.check(ask(), 0)

    assert admission.expected_wait_s(0) == 0


def test_who_would_wait_too_long_is_refused_with_a_time_to_return():
    """
    The backlog ahead of it, over the slots, is what a request would wait.
    """
    pool, queue = pool_of(2), Queue(100)
    for worker in workers_of(pool):
        worker.lease(0, est_s=200, audio_s=2000)
    admission = admission_of(pool, queue)

    with pytest.raises(Unavailable) as refused:
        admission.check(ask(), 0)

    assert refused.value.code == "overloaded"
    assert admission.expected_wait_s(0) == 200
    assert 60 >= (refused.value.retry_after_s or 0) >= 1


def test_one_slot_with_an_hour_before_it_does_not_shut_the_door():
    """
    Who comes next takes the slot that is free first.
    """
    pool = pool_of(4)
    for worker, est_s in zip(workers_of(pool), (4000, 1, 2, 3), strict=True):
        worker.lease(0, est_s, audio_s=10)
    admission = admission_of(pool, Queue(100))

    admission.check(ask(), 0)

    assert admission.expected_wait_s(0) == 1


def test_work_is_poured_into_the_slots_as_they_end():
    """
    Five seconds of work before two slots that end at 1 and 3: two up to 3, then both to 4.5. The far one gets none.
    """
    assert level([1, 3, 100], 5) == 4.5
    assert level([2, 2], 4) == 4
    assert level([7], 1) == 8


def test_a_short_request_is_let_in_past_a_backlog_of_long_ones():
    """
    Only the work that is due before it counts.
    """
    pool, queue = pool_of(1), Queue(100)
    workers_of(pool)[0].lease(0, est_s=1, audio_s=10)
    for _ in range(4):
        queue.add(waiting(at=0, est_s=72))
    admission = admission_of(pool, queue)

    admission.check(ask(audio_s=1), 0)
    with pytest.raises(Unavailable):
        admission.check(ask(audio_s=3600), 0)


def test_a_full_queue_refuses_at_once():
    """
    The bound in requests holds whatever the wait.
    """
    pool, queue = pool_of(1), Queue(1)
    workers_of(pool)[0].lease(0, est_s=1, audio_s=10)
    queue.add(waiting(est_s=0.1))

    with pytest.raises(Unavailable):
        admission_of(pool, queue).check(ask(), 0)


def test_a_full_queue_is_full_for_whoever_would_be_first_in_it():
    """
    Callers by the hundred, each with a key of its own and so before all others, fill it twice over and no more.
    """
    pool, queue = pool_of(2), Queue(4)
    first, second = workers_of(pool)
    pool.heard(second, report(worker_id="w1", boot="boot1", model="large-v3"), 0)
    second.lease(0, est_s=10, audio_s=10)
    for number in range(50):
        tenant = f"key{number}"
        if admission_of(pool, queue).refusal(ask(tenant=tenant, model="large-v3"), 0) is None:
            queue.add(waiting(tenant=tenant, model="large-v3"))

    assert len(queue) == 8
    assert first.is_available(0)


def test_only_workers_with_the_model_count():
    """
    The idle ones of another model are no help, and what waits for another model stands in nobody's way.
    """
    pool, queue = pool_of(2), Queue(100)
    busy, idle = workers_of(pool)
    pool.heard(busy, report(worker_id="w0", boot="boot0", model="large-v3"), 0)
    busy.lease(0, est_s=1000, audio_s=1000)
    admission = admission_of(pool, queue)

    with pytest.raises(Unavailable):
        admission.check(ask(model="large-v3"), 0)
    queue.add(waiting(model="large-v3", est_s=500))
    admission.check(ask(model="tiny"), 0)
    assert admission.expected_wait_s(0, key=0, model="tiny") == 0

    pool.hold(busy, 0, is_held=True)
    with pytest.raises(Unavailable) as refused:
        admission.check(ask(model="large-v3"), 0)
    assert refused.value.code == "no_worker"
    assert idle.is_available(0)


def test_what_cannot_meet_its_deadline_even_alone_is_told_so():
    """
    The prior says 0.1 s of work for each second of audio.
    """
    with pytest.raises(DeadlineExceeded):
        admission_of(pool_of(1), Queue(10)).check(ask(audio_s=2000, deadline_at=50), 0)


def test_no_worker_that_was_ever_seen_is_an_error_and_a_restarting_one_is_not():
    """
    A fleet that was there is worth waiting for, as long as the caller has time and there is room.
    """
    pool = Pool(Random(1))
    pool.add("http://nowhere", 0)
    with pytest.raises(Unavailable) as refused:
        admission_of(pool, Queue(10)).check(ask(), 0)
    assert refused.value.code == "no_worker"

    known = pool_of(1)
    known.refused(workers_of(known)[0], 1)
    admission_of(known, Queue(10)).check(ask(), 1)
    queue = Queue(2)
    queue.add(waiting())
    admission_of(known, queue).check(ask(deadline_at=20), 1)
    queue.add(waiting())
    with pytest.raises(Unavailable):
        admission_of(known, queue).check(ask(deadline_at=20), 1)
