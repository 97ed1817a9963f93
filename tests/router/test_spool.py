import asyncio
import os
import tempfile
import threading

import pytest

from fleet.errors import Unavailable
from router.spool import MEMORY_BYTES_EACH, Spool, SpoolBudget


async def filled(spool: Spool, size: int) -> bytes:
    body = os.urandom(size)
    for start in range(0, size, 60_000):
        await spool.write(body[start : start + 60_000])
    await spool.seal()
    return body


@pytest.mark.parametrize("size", [0, 1, MEMORY_BYTES_EACH, MEMORY_BYTES_EACH + 1, 3_500_000])
async def test_a_body_reads_back_as_often_as_needed(size):
    """
    In memory or on disk, whole and in order.
    """
    budget = SpoolBudget(memory_bytes=10_000_000, disk_bytes=10_000_000)
    async with Spool(budget) as spool:
        body = await filled(spool, size)

        for _ in range(2):
            assert b"".join([chunk async for chunk in spool.chunks()]) == body
        assert (spool.in_memory is None) == (size > MEMORY_BYTES_EACH)
        assert spool.size_bytes == size
        assert budget.memory_bytes + budget.disk_bytes == size
    assert (budget.memory_bytes, budget.disk_bytes) == (0, 0)


async def test_when_memory_is_short_small_bodies_go_to_disk():
    """
    The budget is for all bodies together.
    """
    budget = SpoolBudget(memory_bytes=100_000, disk_bytes=10_000_000)
    async with Spool(budget) as first, Spool(budget) as second:
        await filled(first, 90_000)
        await filled(second, 90_000)

        assert second.in_memory is None
        assert budget.memory_bytes <= 100_000


async def test_past_the_budget_a_body_is_refused_and_nothing_stays_charged():
    """
    Full means no, at once.
    """
    budget = SpoolBudget(memory_bytes=0, disk_bytes=100_000)
    with pytest.raises(Unavailable) as refused:
        async with Spool(budget) as spool:
            await filled(spool, 300_000)

    assert refused.value.code == "storage_unavailable"
    assert (budget.memory_bytes, budget.disk_bytes) == (0, 0)


async def test_a_disk_that_cannot_be_written_is_a_refusal_and_not_a_crash(tmp_path):
    """
    S-01: the folder is gone.
    """
    budget = SpoolBudget(memory_bytes=10_000_000, disk_bytes=10_000_000, folder=str(tmp_path / "nowhere"))
    with pytest.raises(Unavailable):
        async with Spool(budget) as spool:
            await filled(spool, 2_000_000)

    assert (budget.memory_bytes, budget.disk_bytes) == (0, 0)


async def test_spool_files_have_no_name(tmp_path):
    """
    Unlinked from the start: a crash leaves nothing behind.
    """
    budget = SpoolBudget(memory_bytes=0, disk_bytes=10_000_000, folder=str(tmp_path))
    async with Spool(budget) as spool:
        await filled(spool, 2_000_000)
        assert list(tmp_path.iterdir()) == []


async def test_a_caller_who_leaves_while_its_body_is_written_leaves_no_file(monkeypatch):
    """
    The thread that writes makes the file after the caller has gone; somebody must still close it.
    """
    begun, may_go, files, make = threading.Event(), threading.Event(), [], tempfile.TemporaryFile

    def slow(**options):
        begun.set()
        may_go.wait(20)
        files.append(make(**options))
        return files[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", slow)
    budget = SpoolBudget(memory_bytes=10_000_000, disk_bytes=10_000_000)

    async def upload():
        async with Spool(budget) as spool:
            await filled(spool, 3_500_000)

    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(upload())
        await asyncio.to_thread(begun.wait, 20)
        leaving.cancel()
        await asyncio.sleep(0.02)
        may_go.set()
        await asyncio.wait({leaving})

    assert [file.closed for file in files] == [True]
    assert budget.memory_bytes == budget.disk_bytes == 0
