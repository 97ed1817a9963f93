"""The log lines about workers."""

import logging
from random import Random

from router.event_log import EVENTS_KEPT, EventLog, log_event
from router.pool import Pool
from tests.router.made import report


def test_a_worker_comes_fails_and_returns(caplog):
    """Each change is one line that names the worker; losing one is a warning, waiting for one is not."""
    caplog.set_level(logging.INFO)
    pool = Pool(Random(1), events=EventLog(log_event))
    worker = pool.add("http://w0", 0)
    for now in (1, 2):  # the second time nothing has changed
        pool.refused(worker, now)
    pool.heard(worker, report(worker_id="gpu-1", boot="b1"), 3)
    pool.refused(worker, 4)
    pool.heard(worker, report(worker_id="gpu-1", boot="b2"), 5)
    for now in (6, 7, 8):
        pool.failed(worker, now, "lost")
    pool.set_known([], 9)

    down = "worker is down: nobody listens there"
    assert [(line.levelname, line.getMessage(), line.worker) for line in caplog.records] == [
        ("INFO", "worker joined", "w0"),
        ("INFO", down, "w0"),
        ("INFO", "worker ready", "gpu-1"),
        ("WARNING", down, "gpu-1"),
        ("INFO", "worker restarted", "gpu-1"),
        ("INFO", "worker ready", "gpu-1"),
        ("WARNING", "worker ejected", "gpu-1"),
        ("INFO", "worker draining", "gpu-1"),
        ("INFO", "worker gone", "gpu-1"),
    ]
    assert {line.url for line in caplog.records} == {"http://w0"}
    assert caplog.records[6].detail == "last failure: lost"


def test_a_worker_that_does_not_answer_is_a_warning(caplog):
    """Whether it was there before or not: something takes the connections."""
    pool = Pool(Random(1), events=EventLog(log_event))
    worker = pool.add("http://w0", 0)
    for now in (1, 2, 3, 4):
        pool.missed(worker, now, misses_limit=3)
    assert [line.getMessage() for line in caplog.records] == ["worker does not answer probes"]


def test_the_last_are_kept():
    """For the status page; a worker that comes and goes all day takes no memory for it."""
    pool = Pool(Random(1))
    for now in range(2 * EVENTS_KEPT):
        pool.set_known(["http://w0"] if now % 2 == 0 else [], now)
    assert len(pool.events.kept) == EVENTS_KEPT
    assert pool.events.kept[-1] == (2 * EVENTS_KEPT - 1, "w0", "gone", "")
