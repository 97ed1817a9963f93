"""
One try of a request on one worker: body up, reply down, every failure named.

A reply with a known, modest length is read whole before the caller gets its first byte, so that a worker dying in the
middle of it costs a retry and not an error. Other replies (server-sent events) are passed on as they come, unchanged.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp

from fleet import wire
from fleet.stages import SERVER_TIMING, Stages
from fleet.wire import LoadReport
from router.connector import Connector
from router.job import CallerGone, Job, Reply
from router.pool import Pool
from router.retry import Failure
from router.upstream import Lease

WHOLE_REPLY_BYTES = 1 << 20  # replies up to this size are held back until complete
REPLY_BYTES_MAX = 16 << 20  # an hour's verbose_json with words is 2 MB; more than this is no transcript
EXPECT_BYTES = 1 << 20  # above this the worker is asked before the body is sent
DEADLINE_GRACE_S = 1  # the router's own timer goes first, so a worker's is no failure of the worker
OUT_OF_OUR_OWN = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL)
PASSED_ON = (
    "Content-Type",
    "Cache-Control",
    "X-Accel-Buffering",
    wire.WARNINGS,
    wire.IGNORED,
    wire.DURATION,
    wire.WORKER,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: with an answer to the caller (`failure` is None), or how it failed."""

    failure: Failure | None
    status: int = 0
    detail: str = ""
    audio_s: float = 0.0


class ReplyTooLong(Exception):
    """More than any transcript has."""


@contextmanager
def _told_when_lost(lease: Lease, scope: asyncio.Timeout) -> Iterator[None]:
    """End the scope when the pool gives the worker up: once, and never after the exchange is over."""

    def on_lost(_: str) -> None:
        lease.on_lost = None
        scope.reschedule(asyncio.get_running_loop().time())

    lease.on_lost = on_lost
    try:
        yield
    finally:
        lease.on_lost = None


class Attempts:
    """Sends requests to workers and tells the pool what it hears."""

    def __init__(self, connector: Connector, pool: Pool, *, router_id: str, connect_timeout_s: float) -> None:
        self._connector = connector
        self._pool = pool
        self._router_id = router_id
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s)

    async def run(self, lease: Lease, job: Job, reply: Reply) -> Outcome:
        """Try once; the caller's deadline stands outside. Every failure comes back as an Outcome."""
        try:
            async with asyncio.timeout(None) as scope:
                with _told_when_lost(lease, scope):
                    return await self._exchange(lease, job, reply)
        except CallerGone:
            raise
        except aiohttp.ConnectionTimeoutError:
            return Outcome(Failure.CONNECT, detail="connecting took too long")
        except TimeoutError:
            return self._lost(reply, "the worker stopped answering")
        except aiohttp.ClientConnectorError as error:
            return self._not_connected(lease, error)
        except ReplyTooLong:  # the worker lives: this is no death that the body could be blamed for
            return Outcome(Failure.CUT if reply.has_content else Failure.GARBAGE, detail="the reply is too long")
        except (aiohttp.ClientError, ConnectionError) as error:
            return self._lost(reply, type(error).__name__)

    def _not_connected(self, lease: Lease, error: aiohttp.ClientConnectorError) -> Outcome:
        if error.errno == errno.ECONNREFUSED:
            self._pool.refused(lease.worker, time.monotonic())
        # what the router is out of is no worker's fault, and none is better: the request waits its turn
        failure = Failure.BUSY if error.errno in OUT_OF_OUR_OWN else Failure.CONNECT
        return Outcome(failure, detail=error.strerror or "cannot connect")

    def _lost(self, reply: Reply, detail: str) -> Outcome:
        return Outcome(Failure.CUT if reply.has_content else Failure.LOST, detail=detail)

    async def _exchange(self, lease: Lease, job: Job, reply: Reply) -> Outcome:
        worker = lease.worker
        async with self._connector.client.post(
            worker.url + job.path,
            data=job.spool.in_memory if job.spool.in_memory is not None else job.spool.chunks(),
            headers=self._headers(job),
            expect100=job.spool.size_bytes > EXPECT_BYTES or worker.others(time.monotonic()) > 0,
            timeout=self._timeout,
            allow_redirects=False,
        ) as response:
            report = report_of(response, worker.report)
            if report is None:
                return Outcome(Failure.GARBAGE, response.status, "not an answer of a worker")
            self._pool.heard(worker, report, time.monotonic())
            failure = failure_of(response)
            if failure is not None:
                return Outcome(failure, response.status, f"answered {response.status}")
            await self._pass_on(response, lease, job, reply)
            return Outcome(None, response.status, audio_s=wire.duration_s(response.headers))

    def _headers(self, job: Job) -> dict[str, str]:
        headers = {
            "Content-Type": job.content_type,
            "Content-Length": str(job.spool.size_bytes),
            wire.REQUEST_ID: job.request_id,
            wire.ROUTER: self._router_id,
            wire.TIER: job.request.tier,
            wire.DEADLINE_MS: str(round((job.deadline_at - time.monotonic() + DEADLINE_GRACE_S) * 1000)),
        }
        return headers | job.trace_headers

    async def _pass_on(self, response: aiohttp.ClientResponse, lease: Lease, job: Job, reply: Reply) -> None:
        headers = {name: response.headers[name] for name in PASSED_ON if name in response.headers}
        job.stages = Stages.from_header(response.headers.get(SERVER_TIMING, ""))
        headers |= job.stamps(time.monotonic())
        length = response.content_length
        if length is not None and length <= WHOLE_REPLY_BYTES:
            await reply.send(response.status, headers, await response.read())
            return
        await reply.start(response.status, headers)
        async for chunk in _at_most(response.content.iter_any(), REPLY_BYTES_MAX):
            self._pool.answers(lease.worker, time.monotonic())
            await reply.write(chunk)


def report_of(response: aiohttp.ClientResponse, before: LoadReport | None = None) -> LoadReport | None:
    """The load report that every answer of a worker carries; None if this is none."""
    try:
        return LoadReport.from_text(response.headers[wire.LOAD], before)
    except (KeyError, ValueError):
        return None


def failure_of(response: aiohttp.ClientResponse) -> Failure | None:
    """What a worker's status means; None is an answer for the caller, errors of the caller's own included."""
    if response.status == 503:  # busy, draining, loading or out of memory: it says so itself
        return Failure.BUSY
    if response.status in (502, 504):
        return Failure.GATEWAY
    return Failure.ERROR if response.status >= 500 else None


async def _at_most(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    passed = 0
    async for chunk in chunks:
        passed += len(chunk)
        if passed > limit:
            raise ReplyTooLong
        yield chunk
