"""What a worker says of itself."""

from fleet.wire import Tier, WorkerState
from worker.gate import Admission, Gate
from worker.lifecycle import Lifecycle
from worker.report import Reporter
from worker.settings import WorkerSettings


def reporter_of(gate: Gate) -> Reporter:
    return Reporter(WorkerSettings(worker_id="w1"), gate, Lifecycle())


def test_a_router_is_told_its_own_share():
    """So that it never counts its requests twice."""
    gate = Gate(slots=2, queue_limit=5)
    reporter = reporter_of(gate)
    with gate.enter(Admission(Tier.REALTIME, 3.0, "r1")), gate.enter(Admission(Tier.REALTIME, 4.0, "r2")):
        mine, nobodys = reporter.load("r1"), reporter.load()

    assert (mine.work_s, mine.mine_s, mine.mine) == (7.0, 3.0, 1)
    assert (nobodys.work_s, nobodys.mine_s, nobodys.mine) == (7.0, 0.0, 0)


def test_speed_is_unknown_until_clips_were_seen():
    """A guess is not reported as knowledge."""
    reporter = reporter_of(Gate(slots=1, queue_limit=1))
    assert reporter.load().rtf is None

    for seconds in (2, 4, 6, 8, 10):
        reporter.learn(seconds, 0.1 + 0.05 * seconds)

    assert (reporter.load().rtf, reporter.load().fixed_s) == (0.05, 0.1)
    assert round(reporter.work_s(20), 2) == 1.1


def test_every_process_has_a_boot_id_of_its_own():
    """A restart is noticed by it."""
    gate = Gate(slots=1, queue_limit=1)

    assert reporter_of(gate).load().boot != reporter_of(gate).load().boot


def test_health_is_healthy_only_when_ready():
    """The word that load balancers look for."""
    health = reporter_of(Gate(slots=1, queue_limit=1)).health()

    assert health["status"] == health["state"] == WorkerState.LOADING
    assert {"worker_id", "model", "device", "compute_type", "slots", "in_flight", "queue_depth", "version"} <= set(
        health
    )
