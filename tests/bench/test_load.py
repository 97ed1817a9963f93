"""Callers in a closed loop, and what is made of their calls."""

import asyncio

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bench.clips import Form
from bench.load import Refused, Tally, closed_loop

FORMS = [Form(b"one", "multipart/form-data; boundary=b"), Form(b"two", "multipart/form-data; boundary=b")]


def tally(*ends: float, took_s: float = 1.0) -> Tally:
    return Tally(began=0.0, seconds=10.0, ended=list(ends), took_s=[took_s] * len(ends))


def test_calls_that_end_one_by_one_are_counted_between_the_first_and_the_last():
    """One a second is one a second, whenever the round was cut off."""
    assert tally(2, 3, 4, 5, 6.0).per_s == pytest.approx(1)


def test_calls_that_end_together_are_counted_with_their_batch():
    """Four every two seconds are two a second."""
    assert tally(2, 2.001, 2.002, 2.003, 4, 4.001, 4.002, 4.0).per_s == pytest.approx(2, rel=0.01)


def test_the_unsettled_beginning_and_the_overtime_do_not_count():
    """Calls before a seventh of the round is over, and after its end."""
    assert tally(0.1, 0.2, 0.3, 2, 3, 4, 10.5, 10.6).per_s == pytest.approx(1)


def test_a_round_with_too_few_calls_is_an_error():
    """Rather than a figure made of noise."""
    with pytest.raises(ValueError, match="too short"):
        _ = tally(2.0).per_s


async def test_as_many_calls_at_once_as_callers():
    """Each waits for its answer; the texts are kept by form."""
    running, most = 0, 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        body = await request.text()
        await asyncio.sleep(0.01)
        running -= 1
        return web.json_response({"text": body})

    app = web.Application()
    app.router.add_post("/v1/audio/transcriptions", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        found = await closed_loop(http, str(server.make_url("")).rstrip("/"), FORMS, callers=3, seconds=0.3)
    assert most == 3
    assert found.texts == {0: "one", 1: "two"}
    assert len(found.took_s) == len(found.ended) >= 3


async def test_any_other_answer_ends_the_measurement():
    """A figure of refusals would be a fast one."""
    app = web.Application()
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        with pytest.raises(ExceptionGroup) as failed:
            await closed_loop(http, str(server.make_url("")).rstrip("/"), FORMS, callers=2, seconds=5)
    assert failed.group_contains(Refused)
