"""
Tells callers' servers that their jobs ended: a POST with the job's record, signed, tried again with growing pauses.

Sent at least once: a router that dies between the answer and writing it down sends again, under the same `webhook-id`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from contextlib import suppress
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from fleet.errors import BadRequest, Unavailable
from router.deferred.book import Book
from router.deferred.callback import Allowed, key_of, signed
from router.deferred.record import Record
from router.deferred.store import JobStore

TIMEOUT_S = 10.0  # for all of one try
TRIES_MAX = 6
PAUSE_S = 5.0  # after the first failure; four times as long after each more: 5 s .. 21 min, half an hour in all
POLL_S = 2.0
AT_ONCE = 4

logger = logging.getLogger(__name__)


class Webhooks:
    """
    Sends what is due. One for each router; the store sees to it that two do not send the same at once.

    Raises SettingError for a secret that cannot sign.
    """

    def __init__(self, book: Book, allowed: Allowed, *, secret: str, pause_s: float = PAUSE_S) -> None:
        self._book = book
        self._allowed = allowed
        self._key = key_of(secret)
        self._pause_s = pause_s
        self._news = asyncio.Event()

    def wake(self) -> None:
        """A job ended."""
        self._news.set()

    async def loop(self) -> None:
        """Send, for ever."""
        async with self._client() as client, asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._sender(client))

    async def _sender(self, client: aiohttp.ClientSession) -> None:
        while True:
            self._news.clear()
            try:
                found = await self._book.ask(JobStore.next_callback, retry_s=3 * TIMEOUT_S)
                if found is not None:
                    await self._tell(client, *found)
                    continue
            except Unavailable:
                pass
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._news.wait()

    async def _tell(self, client: aiohttp.ClientSession, record: Record, tries: int) -> None:
        is_told = await self._post(client, record)
        is_last = tries >= TRIES_MAX
        pause_s = None if is_told or is_last else self._pause_s * 4 ** (tries - 1)
        if not is_told:
            logger.warning("webhook failed", extra={"job": record.id, "tries": tries, "is_last": is_last})
        await self._book.ask(JobStore.plan_callback, record.id, after_s=pause_s)

    async def _post(self, client: aiohttp.ClientSession, record: Record) -> bool:
        body = json.dumps(self._message(record)).encode()
        headers = signed(self._key, message_id=record.id, timestamp_s=int(time.time()), body=body)
        try:
            url = self._allowed.check(record.callback_url or "")  # the list may have changed since
            async with client.post(
                url, data=body, headers=headers | {"Content-Type": "application/json"}, allow_redirects=False
            ) as response:
                return 200 <= response.status < 300  # whatever else it says is not read
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, BadRequest):
            return False

    def _message(self, record: Record) -> dict[str, Any]:
        """The transcript is not in it: who knows the URL is not thereby allowed to read."""
        shown = record.to_json(ttl_s=self._book.store.ttl_s)
        return {"type": f"job.{record.state}", "timestamp": shown["finished_at"], "data": shown}

    def _client(self) -> aiohttp.ClientSession:
        resolver = CheckedResolver(self._allowed)
        connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, force_close=True, limit=AT_ONCE)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        return aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            headers={"User-Agent": "whisper-fleet"},
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=8190,
        )


class CheckedResolver(AbstractResolver):
    """
    Looks names up and drops the addresses that may not be called.

    The connection is made to what is returned here, so a name cannot mean another address between check and call.
    """

    def __init__(self, allowed: Allowed, names: AbstractResolver | None = None) -> None:
        self._allowed = allowed
        self._names = names or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises OSError when no address is left."""
        found = await self._names.resolve(host, port, family)
        good = [each for each in found if self._allowed.may_connect(each["host"])]
        if not good:
            raise OSError(None, "the name leads to no address that may be called")
        return good

    async def close(self) -> None:
        """Nothing is held."""
        await self._names.close()
