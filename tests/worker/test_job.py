"""A request's windows and results, however the calls are put together."""

import numpy as np

from fleet.wire import Segment
from worker.job import Job
from worker.window import DecodeOptions, Region, Window, WindowResult

OPTIONS = DecodeOptions(language="en")


def windows(count: int) -> list[Window]:
    return [
        Window(at * 10, at * 10 + 10, (Region(at * 10, at * 10 + 10, at * 10, at * 10 + 10),)) for at in range(count)
    ]


def result(text: str, resume_at: int | None = None) -> WindowResult:
    return WindowResult(segments=(Segment(id=0, start=0, end=1, text=text),), language="de", resume_at=resume_at)


async def told(job: Job) -> list[str]:
    """What comes out, once everything that was finished is told."""
    job.emit_complete()
    job.emit(None)
    return [one.segments[0].text async for one in job.results()]


async def test_results_come_in_the_order_of_the_windows():
    """Even where a later window is finished first."""
    job = Job(np.zeros(30, np.float32), windows(2), OPTIONS)
    first, second = job.take(), job.take()
    job.finish(second, result("b"))
    job.finish(first, result("a"))
    assert await told(job) == ["a", "b"]


async def test_what_comes_after_an_unfinished_window_waits_for_it():
    """The rest of a window comes before the window after it."""
    job = Job(np.zeros(30, np.float32), windows(2), OPTIONS)
    first, second = job.take(), job.take()
    job.finish(second, result("c"))
    job.finish(first, result("a", resume_at=5))
    rest = job.take()
    assert (rest.index, rest.window.start, rest.window.end) == (0, 5, 10)
    job.finish(rest, result("b"))
    assert await told(job) == ["a", "b", "c"]


async def test_a_window_that_is_put_back_is_the_next_one():
    """A call that failed did not take it."""
    job = Job(np.zeros(30, np.float32), windows(2), OPTIONS)
    first = job.take()
    job.put_back(first)
    assert job.take() == first


async def test_more_than_one_window_at_once_needs_the_language():
    """And nobody joins a call who is gone, is done, or has to go alone."""
    job = Job(np.zeros(30, np.float32), windows(3), DecodeOptions())
    assert (job.can_join, job.may_share) == (False, False)  # no voice activity detection: a sequential decode
    job.options = DecodeOptions(vad=object())
    assert (job.can_join, job.may_share) == (True, False)
    job.finish(job.take(), result("a"))
    assert (job.can_join, job.may_share) == (True, True)
    job.must_go_alone = True
    assert not job.can_join
    job.finish(job.take(), result("b"))
    assert job.can_join  # it was not its fault
    job.is_cancelled = True
    assert not job.can_join
