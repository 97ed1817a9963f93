"""What it costs to watch a large fleet: processor time, since the clock on a busy machine says nothing."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from fleet.stages import Stages
from router.ledger import RECENT, Finished
from tests.router.scripted import ScriptedFleet, scripted_fleet

WORKERS, SLOTS = 64, 4
SCRAPED_EVERY_S = 5
CORE_SHARE = 0.01
ANSWER_S = 0.030
LOOKS = 9  # the cheapest counts: others were disturbed
OUTCOMES = ((200, None), (400, None), (503, "busy"), (502, "gateway"), (0, "timeout"), (0, "refused"))


@contextmanager
def history(fleet: ScriptedFleet) -> Iterator[None]:
    """All that a day leaves behind: every outcome at every worker, callers of every class, all slots taken."""
    service, now = fleet.service, time.monotonic()
    metrics, names = service._metrics, [worker.name for worker in service.floor.pool]
    for name in names:
        for status, failure in OUTCOMES:
            metrics.attempt(name, status, failure, 1.0)
    for number in range(RECENT):
        ended = Finished(
            at=now,
            status=200,
            code="ok",
            wait_s=number / RECENT,
            took_s=number / 100,
            audio_s=5,
            attempts=1,
            worker=names[number % WORKERS],
            tenant="",
            key_class=("none", "shared", "named")[number // WORKERS % 3],
            stages=Stages(),
        )
        service._ledger.note(ended)
        metrics.finished(ended)
    with ExitStack() as leases:
        for worker in service.floor.pool:
            for _ in range(SLOTS):
                lease = worker.lease(now, 3.0, 10.0)
                lease.label = "req-0123456789abcdef"
                leases.callback(lease.release)
        yield


async def cost_s(fleet: ScriptedFleet, path: str, **headers: str) -> float:
    """Processor seconds of one answer, those of the client that reads it included."""
    spent = []
    for _ in range(LOOKS):
        before = time.process_time()
        async with fleet.client.get(fleet.url + path, headers=headers) as answer:
            assert answer.status == 200
            assert len(await answer.read()) > 50_000
        spent.append(time.process_time() - before)
    return min(spent)


async def test_watching_64_workers_costs_next_to_nothing():
    """
    Under 30 ms an answer, and under 1 % of a core for who asks for both every 5 s.
    """
    async with scripted_fleet(WORKERS, slots=SLOTS, probe_interval_s=3600) as fleet:
        with history(fleet):
            metrics_s, status_s = [await cost_s(fleet, path) for path in ("/metrics", "/lb-status")]

    assert max(metrics_s, status_s) < ANSWER_S
    assert (metrics_s + status_s) / SCRAPED_EVERY_S < CORE_SHARE


async def test_many_who_watch_the_page_cost_as_much_as_two():
    """
    However many browsers ask every second, it is rendered twice a second at most.
    """
    async with scripted_fleet(WORKERS, slots=SLOTS, probe_interval_s=3600) as fleet:
        with history(fleet):
            spent_s = await cost_s(fleet, "/lb-status", Accept="text/html")

    assert spent_s < ANSWER_S / 2
