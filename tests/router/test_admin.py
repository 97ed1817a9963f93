import asyncio
import time

import pytest

from tests.router.scripted import HoldGate, ScriptedWorker, scripted_fleet, until

KEY = {"Authorization": "Bearer admin"}


async def admin(fleet, method, path, **more):
    async with fleet.client.request(method, f"{fleet.url}/admin/workers{path}", headers=KEY, **more) as response:
        return response.status, await response.json()


async def test_a_drained_worker_finishes_what_it_has_and_gets_nothing_new():
    """
    Drain and undrain, under load, without an error.
    """
    async with scripted_fleet(2, admin_key="admin") as fleet:
        assert (await admin(fleet, "POST", "/w0/drain"))[0] == 200
        for _ in range(6):
            assert (await fleet.transcribe())[0] == 200
        assert fleet.workers[0].requests == 0
        states = {worker["id"]: worker["state"] for worker in (await fleet.status())["workers"]}
        assert states == {"w0": "draining", "w1": "ready"}

        assert (await admin(fleet, "POST", "/w0/undrain"))[1]["state"] == "ready"
        while fleet.workers[0].requests == 0:
            assert (await fleet.transcribe())[0] == 200


async def test_workers_come_and_go_while_requests_run():
    """
    Added by URL, removed by id; the one that is removed answers what it was given.
    """
    async with scripted_fleet(1, admin_key="admin", discovery_interval_s=0.1) as fleet:
        newcomer = ScriptedWorker("w9")
        await newcomer.server.start_server()
        try:
            gate = fleet.workers[0].behaviour = HoldGate()
            async with asyncio.TaskGroup() as group:
                running = group.create_task(fleet.transcribe())
                await gate.arrived.wait()
                assert (await admin(fleet, "POST", "", json={"url": newcomer.url}))[0] == 201
                await until(lambda: len(fleet.service.floor.pool.usable(time.monotonic())) == 2)
                assert (await admin(fleet, "DELETE", "/w0"))[1]["state"] == "draining"
                assert (await fleet.transcribe())[2]["text"] == "w9"
                gate.release.set()
            assert running.result()[0] == 200
            assert (await fleet.transcribe())[2]["text"] == "w9"
            await until(lambda: len(fleet.service.floor.pool.workers) == 1, "the idle one forgotten")
        finally:
            await newcomer.server.close()


async def test_reset_takes_an_ejected_worker_back():
    """
    An operator who has mended it need not wait.
    """
    async with scripted_fleet(1, admin_key="admin", eject_base_s=60) as fleet:
        (upstream,) = fleet.service.floor.pool
        for _ in range(3):
            fleet.service.floor.pool.failed(upstream, 0.0, "lost")
        await admin(fleet, "POST", "/w0/reset")

        assert upstream.ejection.failures == 0
        assert (await fleet.transcribe())[0] == 200


@pytest.mark.parametrize(
    ("admin_key", "given", "status"), [(None, "admin", 403), ("admin", "wrong", 401), ("admin", "", 401)]
)
async def test_admin_is_closed_without_its_own_key(admin_key, given, status):
    """
    A caller's key opens nothing here.
    """
    async with scripted_fleet(1, admin_key=admin_key, api_key="caller") as fleet:
        headers = {"Authorization": f"Bearer {given}"} if given else {}
        async with fleet.client.post(f"{fleet.url}/admin/workers/w0/drain", headers=headers) as response:
            assert response.status == status


async def test_bad_orders_are_named():
    """
    No such worker, no URL.
    """
    async with scripted_fleet(1, admin_key="admin") as fleet:
        assert (await admin(fleet, "POST", "/nobody/drain"))[0] == 404
        for body in ({}, {"url": "ftp://x"}, ["url"]):
            status, answer = await admin(fleet, "POST", "", json=body)
            assert (status, answer["error"]["param"]) == (400, "url")
