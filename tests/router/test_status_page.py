import asyncio
import re
import time
from contextlib import ExitStack

import pytest

from router import status_page
from router.trend import Moment, Trend
from tests.router.made import report
from tests.router.scripted import HoldGate, dies, scripted_fleet

EVIL = "<script>alert(1)</script>"


async def page_of(fleet):
    return status_page.page(fleet.service.status.to_json(), Trend(), has_admin=True)


async def test_the_page_says_what_the_document_says():
    """
    Every worker with its state in words, the fleet's figures, the events; the title that scripts look for.
    """
    async with scripted_fleet(2) as fleet:
        await fleet.transcribe()
        page = await page_of(fleet)

    assert "<h1>Load Balancer Status</h1>" in page
    assert page.count("● ready") == 2
    assert '<tr data-worker="w0" data-state="ready"' in page
    assert "1 ok<small>0 failed</small>" in page
    assert "<b>2/2</b>" in page
    assert "joined" in page


async def test_what_a_worker_says_is_text():
    """
    Names and reasons come from the network; none of them becomes an element.
    """
    async with scripted_fleet(1) as fleet:
        (worker,) = fleet.service.floor.pool
        fleet.service.floor.pool.heard(worker, report(worker_id=EVIL, model=EVIL, why=EVIL, boot="b"), time.monotonic())
        page = await page_of(fleet)

    assert EVIL not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3


async def test_a_rescue_is_seen():
    """
    A worker that dies under a request fails nobody, but a tile counts what was run again elsewhere.
    """
    async with scripted_fleet(2) as fleet:
        before = await page_of(fleet)
        fleet.workers[0].behaviour = dies
        answers = await asyncio.gather(fleet.transcribe(), fleet.transcribe())
        page = await page_of(fleet)

    assert [status for status, _, _ in answers] == [200, 200]
    assert "<dt>Retried</dt><dd><b>0</b>" in before
    assert "<dt>Retried</dt><dd><b>1</b>" in page
    assert "<dt>Failed</dt><dd><b>0</b>" in page


async def test_running_requests_have_bars():
    """
    What is in flight shows how long it runs and how long it was thought to take.
    """
    gate = HoldGate()
    async with scripted_fleet(1) as fleet:
        fleet.workers[0].behaviour = gate
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.transcribe())
            await gate.arrived.wait()
            page = await page_of(fleet)
            gate.release.set()

    assert re.search(r'<progress max="[\d.]+" value="[\d.]+" aria-label="[^"]+ of about [^"]+">', page)
    assert "1/1" in page


async def test_of_many_requests_at_one_worker_the_oldest_are_shown():
    """
    A worker with many slots is a row, not a page; the rest is a number.
    """
    async with scripted_fleet(1, slots=16) as fleet:
        (worker,) = fleet.service.floor.pool
        now = time.monotonic()
        with ExitStack() as leases:
            for number in range(10):
                lease = worker.lease(now - number, 3.0, 10.0)
                lease.label = f"request-{number}"
                leases.callback(lease.release)
            page = await page_of(fleet)

    assert re.findall(r"request-\d", page) == ["request-9", "request-8", "request-7", "request-6"]
    assert "and 6 more" in page


async def test_an_ejected_worker_does_not_pass_for_ready():
    """
    The word is what keeps requests away, and beside it stands why.
    """
    async with scripted_fleet(2) as fleet:
        pool = fleet.service.floor.pool
        for _ in range(3):
            pool.failed(next(iter(pool)), time.monotonic(), "connection lost")
        page = await page_of(fleet)

    assert "■ ejected" in page
    assert "open after: connection lost" in page


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "none yet"),
        (0, "0 s"),
        (0.0421, "42 ms"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (119, "2 min"),
        (7300, "2 h"),
        (9e5, "10 days"),
    ],
)
def test_durations_are_for_people(seconds, said):
    """
    A unit that fits, and no digit that does not matter.
    """
    assert status_page.span(seconds) == said


def test_a_curve_ends_at_the_right_edge_and_stays_inside():
    """
    The newest value is at the right whatever their number; the highest touches the top.
    """
    pairs = [tuple(map(float, pair.split(","))) for pair in status_page.points([0, 5, 10]).split()]

    assert [x for x, _ in pairs] == [147, 148, 149]
    assert [y for _, y in pairs] == [27, 14, 1]
    assert status_page.points([]) == ""


async def test_sixty_four_workers_are_rendered_quickly():
    """
    A page that is open on a wall must not cost the fleet: it is rendered twice a second at most.
    """
    trend = Trend()
    async with scripted_fleet(1) as fleet:
        document = fleet.service.status.to_json()
    document["workers"] *= 64
    for at in range(150):
        trend.note(Moment(backlog_s=at, expected_wait_s=at / 2, refused=at))
    started = time.process_time()
    for _ in range(5):
        status_page.page(document, trend, has_admin=True)

    assert (time.process_time() - started) / 5 < 0.03
