"""The store as the event loop sees it: each call runs in a thread of the book's own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from router.deferred.store import JobStore
from router.in_thread import in_thread

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
        """Ask the store; raises what it raises. Who is cancelled waits for the call to end."""
        return await in_thread(partial(question, self.store, *args, **kwargs), self._threads)

    def close(self) -> None:
        """Wait for calls under way, then close the store."""
        self._threads.shutdown(wait=True)
        self.store.close()
