import asyncio
import time

import aiohttp
import pytest

from fleet import wire
from fleet.fields import TranscriptionRequest
from router.job import Job
from router.spool import Spool
from tests.router.scripted import HoldGate, answer, answers, dies, form, hangs, says_busy, scripted_fleet, takes, until


async def test_ten_requests_on_three_one_slot_workers_are_all_served():
    """
    The router holds what does not fit, and no worker ever has two.
    """
    async with scripted_fleet(3) as fleet:
        for worker in fleet.workers:
            worker.behaviour = takes(0.05)

        results = await asyncio.gather(*(fleet.transcribe() for _ in range(10)))

        assert [status for status, _, _ in results] == [200] * 10
        assert [worker.most_at_once for worker in fleet.workers] == [1, 1, 1]
        assert all(int(headers[wire.ATTEMPTS]) == 1 for _, headers, _ in results)
        await until(fleet.is_clean)


@pytest.mark.parametrize("failing", [dies, answers(502), answers(500), answers(504)])
async def test_what_fails_on_one_worker_is_answered_by_another(failing):
    """
    The caller sees an answer, and that it took two attempts.
    """
    async with scripted_fleet(2) as fleet:
        fleet.workers[0].behaviour = failing

        results = [await fleet.transcribe()]
        while fleet.workers[0].requests == 0:  # ties fall at random
            results.append(await fleet.transcribe())

        assert {body["text"] for _, _, body in results} == {"w1"}
        assert results[-1][1][wire.ATTEMPTS] == "2"
        await until(fleet.is_clean)


async def test_a_worker_that_fails_fast_is_taken_out_after_three():
    """
    Scenario 5, on sockets: at most four requests reach it, callers see nothing.
    """
    async with scripted_fleet(4, eject_base_s=30) as fleet:
        fleet.workers[0].behaviour = answers(500)

        results = await asyncio.gather(*(fleet.transcribe() for _ in range(60)))

        assert {status for status, _, _ in results} == {200}
        assert fleet.workers[0].requests <= 4


async def test_callers_errors_hold_nothing_against_the_worker():
    """
    Scenario 6: fifty bad files, fifty times 400, unchanged; the circuit stays closed.
    """
    async with scripted_fleet(1) as fleet:
        fleet.workers[0].behaviour = answers(400, "audio_unsupported")

        results = await asyncio.gather(*(fleet.transcribe() for _ in range(50)))

        assert {(status, body["error"]["code"]) for status, _, body in results} == {(400, "audio_unsupported")}
        assert fleet.workers[0].requests == 50
        (worker,) = (await fleet.status())["workers"]
        assert worker["breaker"]["state"] == "closed"


async def test_busy_answers_hold_the_request_and_cost_no_retry():
    """
    Scenario 7: every worker says busy for a while; nobody is ejected, nobody refused, and then all is served.
    """
    async with scripted_fleet(2) as fleet:
        for worker in fleet.workers:
            worker.behaviour = says_busy
        pending = asyncio.gather(*(fleet.transcribe() for _ in range(6)))
        await until(lambda: sum(worker.requests for worker in fleet.workers) >= 4)
        for worker in fleet.workers:
            worker.behaviour = answer
        recovered = time.monotonic()

        results = await pending

        assert {(status, headers[wire.ATTEMPTS]) for status, headers, _ in results} == {(200, "1")}
        assert time.monotonic() - recovered < 2
        totals = (await fleet.status())["totals"]
        assert totals["redispatch"] >= 4
        assert totals["retries"] == totals["retry_budget_denied"] == 0
        assert all(not upstream.ejection.opened for upstream in fleet.service.floor.pool)


async def test_a_body_under_which_two_workers_die_is_refused_and_remembered():
    """
    Scenario 22: two deaths at most, then 400 without retry; the same file is not run again, another is.
    """
    async with scripted_fleet(4) as fleet:

        async def dies_of_poison(worker, request):
            return await (dies if b"poison" in worker.bodies[-1] else answer)(worker, request)

        for worker in fleet.workers:
            worker.behaviour = dies_of_poison

        first = await fleet.transcribe(b"RIFFpoison")
        again = await fleet.transcribe(b"RIFFpoison")
        good = await fleet.transcribe(b"RIFFgood")

        for status, headers, body in (first, again):
            assert (status, body["error"]["code"]) == (400, "audio_rejected")
            assert headers["x-should-retry"] == "false"
        assert good[0] == 200
        assert sum(worker.requests for worker in fleet.workers) == 3


async def test_a_worker_that_hangs_is_given_up_when_it_misses_its_probes():
    """
    Scenario 13: accepts, never answers; its request goes elsewhere long before the deadline.
    """
    async with scripted_fleet(2) as fleet:
        hanging, _ = fleet.workers
        hanging.behaviour, hanging.answers_probes = hangs, False

        results = [await fleet.transcribe()]
        while hanging.requests == 0:
            results.append(await fleet.transcribe())

        assert {body["text"] for _, _, body in results} == {"w1"}
        states = {worker["id"]: worker["state"] for worker in (await fleet.status())["workers"]}
        assert states["w0"] == "silent"


async def test_the_deadline_ends_a_wait_by_itself():
    """
    No slot has to come free for a request to notice that its time is over.
    """
    async with scripted_fleet(1) as fleet:
        gate = fleet.workers[0].behaviour = HoldGate()
        holding = asyncio.ensure_future(fleet.transcribe())  # noqa: TID251  awaited below
        await gate.arrived.wait()
        started = time.monotonic()

        status, headers, body = await fleet.transcribe(**{"header_X-Request-Timeout": "0.6"})

        assert (status, body["error"]["code"]) == (504, "deadline_exceeded")
        assert headers["x-should-retry"] == "false"
        assert 0.3 < time.monotonic() - started < 3
        gate.release.set()
        assert (await holding)[0] == 200
        await until(fleet.is_clean)


@pytest.mark.parametrize("where", ["queued", "running"])
async def test_a_caller_who_hangs_up_frees_everything(where):
    """
    Scenario 19: queue entry, slot, spool and the connection to the worker go with the caller.
    """
    async with scripted_fleet(1) as fleet:
        gate = fleet.workers[0].behaviour = HoldGate()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(fleet.transcribe())
            await gate.arrived.wait()
            queued = group.create_task(fleet.transcribe())
            await until(lambda: len(fleet.service.floor.queue) == 1)
            assert fleet.service.spool.memory_bytes > 0

            (queued if where == "queued" else running).cancel()

            if where == "queued":
                await until(lambda: len(fleet.service.floor.queue) == 0, within_s=5)
            else:  # the slot is free again at once, and who waited has it
                await until(lambda: fleet.workers[0].requests == 2, within_s=5)
            gate.release.set()
        await until(fleet.is_clean)
        assert (await fleet.status())["totals"]["client_cancel"] == 1


async def test_a_stream_that_waits_gets_comments_and_then_the_workers_bytes():
    """
    The line stays open while the request is queued; what follows is byte for byte the worker's.
    """
    events = b'data: {"type":"transcript.text.done","text":"x"}\n\n'

    async with scripted_fleet(1) as fleet:
        gate = fleet.workers[0].behaviour = HoldGate()

        async def streams(worker, request):
            if b'name="stream"' not in worker.bodies[-1]:
                return await gate(worker, request)
            response = aiohttp.web.StreamResponse(
                headers={
                    wire.LOAD: worker.load().to_header(), wire.WORKER: worker.name, "Content-Type": "text/event-stream"
                }
            )  # fmt: skip
            await response.prepare(request)
            await response.write(events)
            return response

        fleet.workers[0].behaviour = streams
        async with asyncio.TaskGroup() as group:
            group.create_task(fleet.transcribe())
            await gate.arrived.wait()
            async with fleet.client.post(
                f"{fleet.url}/v1/audio/transcriptions", data=form(b"RIFFx", stream="true")
            ) as waiting:
                assert waiting.status == 200
                assert (await waiting.content.readline()).startswith(b":")
                gate.release.set()
                assert (await waiting.read()).endswith(events)


async def test_a_stream_that_has_begun_reports_the_failure_as_an_event():
    """
    F-02: never a silent cut, never two answers in one.
    """
    async with scripted_fleet(2) as fleet:

        async def begins_and_dies(worker, request):
            response = aiohttp.web.StreamResponse(
                headers={
                    wire.LOAD: worker.load().to_header(), wire.WORKER: worker.name, "Content-Type": "text/event-stream"
                }
            )  # fmt: skip
            await response.prepare(request)
            await response.write(b'data: {"type":"transcript.text.delta","delta":"one"}\n\n')
            return await dies(worker, request)

        for worker in fleet.workers:
            worker.behaviour = begins_and_dies

        status, _, text = await fleet.transcribe(stream="true")

        assert status == 200
        first, last = [line for line in text.split("\n\n") if line.startswith("data:")]
        assert "one" in first
        assert '"code": "upstream_failed"' in last or '"code":"upstream_failed"' in last
        assert sum(worker.requests for worker in fleet.workers) == 1


async def test_a_turn_that_nobody_takes_counts_as_no_work_of_its_key():
    """
    A caller may hang up in the moment in which its slot comes free: its key's next requests wait for nothing of that.
    """
    async with scripted_fleet(1) as fleet:
        dispatcher, now = fleet.service.dispatcher, time.monotonic()
        job = Job(
            path="/v1/audio/transcriptions",
            content_type="",
            request=TranscriptionRequest(),
            model=None,
            spool=Spool(fleet.service.spool),
            digest=lambda: asyncio.sleep(0, ""),
            audio_s=3600,
            request_id="r",
            arrived_at=now,
            deadline_at=now + 600,
            tenant="hasty",
        )
        turn = asyncio.get_running_loop().create_future()
        turn.cancel()

        dispatcher.floor.queue.add(dispatcher._waiting(job, turn))
        dispatcher.assign()

        assert not len(dispatcher.floor.queue)
        assert dispatcher.floor.queue._usage.rank("hasty", time.monotonic()) == 0
        await until(fleet.is_clean)
