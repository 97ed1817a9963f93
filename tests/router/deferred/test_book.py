"""The store off the event loop."""

import asyncio
import threading

import pytest

from fleet.errors import NotFound
from router.deferred.book import Book


class Store:
    """Blocks until it may go on."""

    threads = 1

    def __init__(self):
        self.started, self.go_on, self.is_closed = threading.Event(), threading.Event(), False

    def block(self, answer):
        self.started.set()
        assert self.go_on.wait(20)
        return answer

    def refuse(self):
        raise NotFound

    def close(self):
        self.is_closed = True


@pytest.fixture
def book():
    """Of that store."""
    book = Book(Store())
    yield book
    book.store.go_on.set()
    book.close()
    assert book.store.is_closed


async def test_the_loop_turns_meanwhile(book):
    """Calls take their time in a thread; errors come back."""
    async with asyncio.TaskGroup() as group:
        answer = group.create_task(book.ask(Store.block, 7))
        assert await asyncio.to_thread(book.store.started.wait, 20)
        book.store.go_on.set()
    assert answer.result() == 7
    with pytest.raises(NotFound):
        await book.ask(Store.refuse)


async def test_who_is_cancelled_waits_for_the_thread(book):
    """What the call reads from must stay open until it has read it."""
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(book.ask(Store.block, 7))
        assert await asyncio.to_thread(book.store.started.wait, 20)
        asking.cancel()
        await asyncio.sleep(0.05)
        assert not asking.done()
        book.store.go_on.set()
    assert asking.cancelled()
