"""The store as the event loop sees it: each call runs in a thread of the book's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from router.deferred.store import JobStore

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class Book:
    """`await book.ask(JobStore.get, tenant, job_id)`."""

    def __init__(self, store: JobStore) -> None:
        self.store = store
        self._threads = ThreadPoolExecutor(store.threads, "jobs")

    async def ask(
        self,
        question: Callable[Concatenate[JobStore, Arguments], Answer],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Answer:
        """
        Ask the store; raises what it raises.

        A thread cannot be cancelled, so whoever is cancelled here still waits: what it lent to the call stays open.
        """
        call = partial(question, self.store, *args, **kwargs)
        answer = asyncio.get_running_loop().run_in_executor(self._threads, call)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            await asyncio.wait({answer})
            if not answer.cancelled():
                answer.exception()  # seen, so that nobody complains of it
            raise

    def close(self) -> None:
        """Wait for calls under way, then close the store."""
        self._threads.shutdown(wait=True)
        self.store.close()
