"""The cache in a router before scripted workers: what is a hit, what is not, and who waits for whom."""

import asyncio
import json
import logging
from dataclasses import replace

import pytest
from aiohttp import web

from fleet import wire
from tests.router.scripted import HoldGate, answer, answers, dies, form, hangs, scripted_fleet, stamped, until

# a store on a busy machine may take its time; that it may not in service is for test_guard.py to say
ON = {"cache": "memory", "cache_timeout_s": 20.0}


async def stats(fleet):
    async with fleet.client.get(f"{fleet.url}/stats") as response:
        return (await response.json())["cache"]


async def followers(fleet, count):
    flights = fleet.service.cache._flights
    await until(lambda: flights.followers == count, "followers")


async def test_the_second_is_answered_without_a_worker(caplog):
    """
    The same body and headers of the audio; noted in ledger, log and metrics as any other request.
    """
    caplog.set_level(logging.INFO, "router.access")
    async with scripted_fleet(1, **ON) as fleet:
        first, second = [await fleet.transcribe() for _ in range(2)]
        assert fleet.workers[0].requests == 1
        assert (first[0], second[0], first[2], second[2]) == (200, 200, {"text": "w0"}, {"text": "w0"})
        assert (first[1][wire.CACHE], second[1][wire.CACHE]) == ("miss", "hit")
        assert (second[1][wire.ATTEMPTS], second[1][wire.WORKER], second[1][wire.DURATION]) == ("0", "w0", "1.0")
        assert second[1][wire.REQUEST_ID] != first[1][wire.REQUEST_ID]
        totals = (await fleet.status())["totals"]
        assert (totals["requests"], totals["ok"]) == (2, 2)
        assert [record.cache for record in caplog.records if hasattr(record, "cache")] == ["miss", "hit"]
        assert (await stats(fleet))["hit_rate"] == 0.5
        await until(fleet.is_clean)


async def test_other_audio_and_other_wishes_are_other_requests():
    """One run for each; spelling and the form's boundary make no difference."""
    async with scripted_fleet(1, **ON) as fleet:
        for fields in ({}, {"language": "en"}, {"response_format": "text"}, {"prompt": "a"}, {"prompt": "b"}):
            assert (await fleet.transcribe(**fields))[1][wire.CACHE] == "miss"
        assert (await fleet.transcribe(b"RIFFother"))[1][wire.CACHE] == "miss"
        for fields in ({"language": "English"}, {"response_format": "json"}, {"transcription_tier": "deferred"}):
            assert (await fleet.transcribe(**fields))[1][wire.CACHE] == "hit"
        assert fleet.workers[0].requests == 6


async def test_ten_at_once_are_one_run():
    """Nine wait for the one that runs, and are told so."""
    async with scripted_fleet(2, slots=16, **ON) as fleet, asyncio.TaskGroup() as group:
        gate = HoldGate()
        for worker in fleet.workers:
            worker.behaviour = gate
        tasks = [group.create_task(fleet.transcribe()) for _ in range(10)]
        await followers(fleet, 9)
        gate.release.set()
        results = await asyncio.gather(*tasks)
        assert sum(worker.requests for worker in fleet.workers) == 1
        assert sorted(headers[wire.CACHE] for _, headers, _ in results) == ["hit"] * 9 + ["miss"]
        assert len({json.dumps(body) for _, _, body in results}) == 1
        counted = await stats(fleet)
        assert (counted["joined"], counted["misses"], counted["entries"]) == (9, 1, 1)
        await until(fleet.is_clean)


async def test_when_the_leader_hangs_up_a_follower_runs():
    """Its worker's slot is given back; the followers are answered by one more run, not by four."""
    async with scripted_fleet(1, **ON) as fleet, asyncio.TaskGroup() as group:
        gate = fleet.workers[0].behaviour = HoldGate()
        leader = group.create_task(fleet.transcribe())
        await gate.arrived.wait()
        others = [group.create_task(fleet.transcribe()) for _ in range(4)]
        await followers(fleet, 4)
        leader.cancel()
        await until(lambda: fleet.workers[0].requests == 2, "the next run")
        gate.release.set()
        results = await asyncio.gather(*others)
        assert [status for status, _, _ in results] == [200] * 4
        assert sorted(headers[wire.CACHE] for _, headers, _ in results) == ["hit"] * 3 + ["miss"]
        assert fleet.workers[0].requests == 2
        await until(fleet.is_clean)


async def test_everybody_keeps_a_deadline_of_their_own():
    """A follower's is over before the leader's run is; a leader's, before its followers'."""
    async with scripted_fleet(1, **ON) as fleet, asyncio.TaskGroup() as group:
        gate = fleet.workers[0].behaviour = HoldGate()
        leader = group.create_task(fleet.transcribe(**{"header_X-Request-Timeout": "1.5"}))
        await gate.arrived.wait()
        patient = group.create_task(fleet.transcribe())
        hasty = await fleet.transcribe(**{"header_X-Request-Timeout": "0.1"})
        assert (hasty[0], hasty[2]["error"]["code"]) == (504, "deadline_exceeded")
        assert (await leader)[0] == 504
        gate.release.set()
        status, headers, _ = await patient
        assert (status, headers[wire.CACHE]) == (200, "miss")
        await until(fleet.is_clean)


async def test_a_worker_that_dies_under_the_leader_is_nobodys_error():
    """The run is tried again elsewhere, and all have its answer."""
    async with scripted_fleet(2, **ON) as fleet, asyncio.TaskGroup() as group:
        hold = HoldGate()

        async def die_later(worker, request):
            await hold(worker, request)
            return await dies(worker, request)

        died = []

        async def die_once(worker, request):
            if died:
                return await answer(worker, request)
            died.append(worker)
            return await die_later(worker, request)

        for worker in fleet.workers:
            worker.behaviour = die_once
        tasks = [group.create_task(fleet.transcribe()) for _ in range(5)]
        await followers(fleet, 4)
        hold.release.set()
        assert {status for status, _, _ in await asyncio.gather(*tasks)} == {200}
        assert sum(worker.requests for worker in fleet.workers) == 2


async def test_errors_are_shared_in_flight_and_never_kept():
    """A refused file is refused for who waits with it; the next one is looked at again."""
    async with scripted_fleet(1, **ON) as fleet, asyncio.TaskGroup() as group:
        gate = HoldGate()

        async def refuse(worker, request):
            await gate(worker, request)
            return await answers(400, "audio_corrupt")(worker, request)

        fleet.workers[0].behaviour = refuse
        tasks = [group.create_task(fleet.transcribe()) for _ in range(3)]
        await followers(fleet, 2)
        gate.release.set()
        assert {(status, body["error"]["code"]) for status, _, body in await asyncio.gather(*tasks)} == {
            (400, "audio_corrupt")
        }
        assert fleet.workers[0].requests == 1
        await fleet.transcribe()
        assert fleet.workers[0].requests == 2
        assert (await stats(fleet))["entries"] == 0


async def warned(worker, _):
    return web.json_response({"text": "half"}, headers=stamped(worker, **{wire.WARNINGS: "truncated"}))


async def cut_short(worker, request):
    response = web.StreamResponse(headers=stamped(worker))
    response.content_type = "application/json"
    await response.prepare(request)
    await response.write(b'{"text": "ha')
    request.transport.abort()
    return response


@pytest.mark.parametrize("behaviour", [warned, cut_short, answers(404)])
async def test_what_is_partial_or_warned_of_is_not_kept(behaviour):
    """The next caller has a whole one from a worker."""
    async with scripted_fleet(1, **ON) as fleet:
        fleet.workers[0].behaviour = behaviour
        try:
            await fleet.transcribe()
        except Exception:
            assert behaviour is cut_short  # the line is cut, which is how a caller knows
        fleet.workers[0].behaviour = answer
        await until(fleet.is_clean)
        status, headers, body = await fleet.transcribe()
        assert (status, headers[wire.CACHE], body) == (200, "miss", {"text": "w0"})


async def in_pieces(worker, request):
    response = web.StreamResponse(headers=stamped(worker))
    response.content_type = "application/json"
    await response.prepare(request)
    for piece in (b'{"te', b'xt": "', b"x" * 100_000, b'"}'):
        await response.write(piece)
    return response


async def test_a_long_answer_in_pieces_is_kept_whole():
    """As an hour's transcript comes."""
    async with scripted_fleet(1, **ON) as fleet:
        fleet.workers[0].behaviour = in_pieces
        first, second = [await fleet.transcribe() for _ in range(2)]
        assert first[2] == second[2] == {"text": "x" * 100_000}
        assert second[1][wire.CACHE] == "hit"


async def test_streams_go_past_it():
    """They are neither kept nor answered from what is kept."""
    async with scripted_fleet(1, **ON) as fleet:
        for _ in range(2):
            assert (await fleet.transcribe(stream="true"))[0] == 200
        assert fleet.workers[0].requests == 2
        assert (await stats(fleet))["bypassed"] == 2


@pytest.mark.parametrize("is_shared", [False, True])
async def test_callers_with_different_keys_are_apart_unless_told_otherwise(is_shared):
    """Kept answers and runs in flight alike."""
    async with scripted_fleet(1, slots=4, cache_shared=is_shared, **ON) as fleet, asyncio.TaskGroup() as group:
        gate = fleet.workers[0].behaviour = HoldGate()
        running = [group.create_task(fleet.transcribe(**{"header_X-API-Key": key})) for key in ("a", "b")]
        await until(lambda: fleet.workers[0].requests + fleet.service.cache._flights.followers == 2)
        gate.release.set()
        await asyncio.gather(*running)
        assert fleet.workers[0].requests == (1 if is_shared else 2)
        _, headers, _ = await fleet.transcribe(**{"header_X-API-Key": "c"})
        assert headers[wire.CACHE] == ("hit" if is_shared else "miss")


async def test_a_hit_needs_the_key_and_an_open_door():
    """Neither without the key, nor while the router drains."""
    async with scripted_fleet(1, api_key="k", **ON) as fleet:
        good = {"header_X-API-Key": "k"}
        await fleet.transcribe(**good)
        assert (await fleet.transcribe(**good))[1][wire.CACHE] == "hit"
        assert (await fleet.transcribe())[0] == 401
        assert (await fleet.transcribe(**{"header_X-API-Key": "wrong"}))[0] == 401
        fleet.service.status.state = "draining"
        assert (await fleet.transcribe(**good))[2]["error"]["code"] == "draining"


async def test_another_version_of_the_workers_is_another_answer():
    """While they disagree nothing is looked up or kept; afterwards the old answers are not found."""
    async with scripted_fleet(2, **ON) as fleet:
        before = (await fleet.transcribe())[1]
        assert ((await fleet.transcribe())[1][wire.CACHE], before[wire.CACHE]) == ("hit", "miss")
        for worker in fleet.workers:
            worker.report = replace(worker.report, boot=f"new-{worker.name}", version="2")
            await until(
                lambda: any(
                    upstream.report.version == "2" and upstream.name == worker.name  # noqa: B023  done before the next
                    for upstream in fleet.service.floor.pool
                )
            )
            assert (await fleet.transcribe())[1][wire.CACHE] == "miss"
        assert (await stats(fleet))["bypassed"] == 1
        assert (await fleet.transcribe())[1][wire.CACHE] == "hit"


async def test_what_ran_while_the_cache_was_cleared_is_not_kept():
    """
    Whoever has everything forgotten means the answer that is on its way as well.
    """
    async with scripted_fleet(1, **ON) as fleet:
        gate = fleet.workers[0].behaviour = HoldGate()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(fleet.transcribe())
            await gate.arrived.wait()
            await fleet.service.cache.guard.clear()
            gate.release.set()
        assert running.result()[0] == 200
        assert [(await fleet.transcribe())[1][wire.CACHE] for _ in range(2)] == ["miss", "hit"]


async def test_the_plain_form_says_cached():
    """`cached` in what /transcribe answers."""

    async def plain(worker, _):
        return web.json_response({"transcript": "one", "cached": False}, headers=stamped(worker))

    async with scripted_fleet(1, **ON) as fleet:
        fleet.workers[0].behaviour = plain
        seen = []
        for _ in range(2):
            async with fleet.client.post(f"{fleet.url}/transcribe", data=form(b"RIFFx")) as response:
                seen.append((await response.json())["cached"])
        assert seen == [False, True]


async def test_more_followers_than_may_wait_are_queued_like_anybody():
    """MAX_QUEUE bounds who waits for a run as it bounds who waits for a slot."""
    async with scripted_fleet(1, slots=4, max_queue=2, **ON) as fleet, asyncio.TaskGroup() as group:
        gate = fleet.workers[0].behaviour = HoldGate()
        tasks = [group.create_task(fleet.transcribe()) for _ in range(4)]
        await until(lambda: fleet.workers[0].requests == 2, "one that runs by itself")
        gate.release.set()
        assert {status for status, _, _ in await asyncio.gather(*tasks)} == {200}


async def test_a_hanging_worker_and_callers_who_leave_hold_nothing():
    """Leader and followers all hang up: no flight, slot, spool or task is left."""
    async with scripted_fleet(1, **ON) as fleet:
        fleet.workers[0].behaviour = hangs
        tasks_before = len(asyncio.all_tasks())
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(fleet.transcribe()) for _ in range(6)]
            await followers(fleet, 5)
            for task in tasks:
                task.cancel()
        await until(fleet.is_clean)
        await until(lambda: len(asyncio.all_tasks()) <= tasks_before + 2, "no task without a caller")
        assert fleet.service.cache._flights._by_key == {}


async def test_off_it_costs_nothing(monkeypatch):
    """No hash is made, nothing is looked up; /stats says so."""
    monkeypatch.setattr("hashlib.blake2b", None)
    async with scripted_fleet(1) as fleet:
        for _ in range(2):
            assert (await fleet.transcribe())[1][wire.CACHE] == "miss"
        assert fleet.service.cache is None
        assert await stats(fleet) == {"kind": "off", "hits": 0, "misses": 0, "hit_rate": 0.0}
