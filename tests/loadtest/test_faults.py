"""Faults on a timeline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise

import psutil
import pytest

from fleet.child import ChildSpec, running
from fleet.settings import SettingError
from loadtest.faults import Fault, FaultKind, inject, parsed, service_of

COUNTS = "import time\nwhile True: print(time.monotonic(), flush=True); time.sleep(0.02)"


def test_a_timeline_is_read_and_put_in_order() -> None:
    """
    Kind, worker, second, and a length where it matters.
    """
    assert parsed(["stall:2@30+5", "kill:1@20"]) == [
        Fault(FaultKind.KILL, 1, 20, 2),
        Fault(FaultKind.STALL, 2, 30, 5),
    ]


@pytest.mark.parametrize("text", ["kill", "burn:1@3", "kill:one@3", "kill:0@3", "kill:1@", "stall:1@3+"])
def test_what_is_no_fault_is_refused_with_the_form(text: str) -> None:
    """
    The sentence shows how it is written.
    """
    with pytest.raises(SettingError, match="FAULTS takes"):
        parsed([text])


async def test_a_killed_service_is_gone(standin: Callable[..., ChildSpec]) -> None:
    """
    The service is killed, not the minder before it, which reports how it ended.
    """
    async with running(standin(COUNTS)) as child:
        await _found(child.spec)
        await inject(Fault(FaultKind.KILL, 1, 0, 0), child.spec)
        assert await child.wait(lambda line: None) == 128 + 9


async def test_a_stalled_service_stands_still_and_goes_on(
    standin: Callable[..., ChildSpec], eventually: Callable[..., Awaitable[None]]
) -> None:
    """
    For the length of the stall it does nothing; afterwards it goes on by itself.
    """
    lived: list[float] = []  # by its own clock: what it says may come later
    async with running(standin(COUNTS)) as child, asyncio.TaskGroup() as group:
        listener = group.create_task(child.wait(lambda line: lived.append(float(line))))
        await _found(child.spec)
        await eventually(lambda: len(lived) > 3)
        began = time.monotonic()
        await inject(Fault(FaultKind.STALL, 1, 0, 0.6), child.spec)
        await eventually(lambda: lived[-1] > began + 0.6)
        listener.cancel()

    assert max(later - earlier for earlier, later in pairwise(lived) if later > began) > 0.5


async def _found(spec: ChildSpec) -> psutil.Process:
    async with asyncio.timeout(20):
        while (process := service_of(spec)) is None:  # noqa: ASYNC110  another process's start
            await asyncio.sleep(0.02)
    return process
