"""What is put under load."""

import aiohttp
import psutil
import pytest

from loadtest.faults import service_of
from loadtest.target import ROUTER, started


@pytest.mark.real
async def test_a_fleet_is_ready_inside_the_block_and_gone_after_it() -> None:
    """
    No wait is left to the caller, and no process to the machine.
    """
    async with started(1, "fake:0", ROUTER, threads=1) as target, aiohttp.ClientSession() as http:
        async with http.get(f"{target.url}/readyz") as answer:
            assert answer.status == 200
        assert target.balancer is not None
        services = [service_of(spec) for spec in (target.balancer, *target.workers)]
        assert all(services)

    assert not [service for service in services if service and _is_alive(service)]


def _is_alive(process: psutil.Process) -> bool:
    """Dead but not yet collected is dead."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
