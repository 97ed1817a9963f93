import asyncio
import threading

import pytest

from router.in_thread import in_thread


async def test_it_returns_and_raises_what_the_call_does():
    """
    As if there were no thread.
    """
    assert await in_thread(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


@pytest.mark.parametrize("fails", [False, True])
async def test_who_is_cancelled_waits_for_the_end_of_the_call(fails: bool):
    """
    Files and locks that the call uses are not pulled from under it; how it ends is nobody's any more.
    """
    begun, may_end, ended = threading.Event(), threading.Event(), []

    def call() -> None:
        begun.set()
        may_end.wait(20)
        ended.append(1)
        if fails:
            raise ValueError

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(in_thread(call))
        await asyncio.to_thread(begun.wait, 20)
        waiting.cancel()
        await asyncio.sleep(0.02)
        assert not waiting.done()
        may_end.set()
        await asyncio.wait({waiting})
    assert ended and waiting.cancelled()
