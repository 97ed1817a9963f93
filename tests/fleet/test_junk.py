"""What is logged of bytes that are no HTTP."""

import logging
import sys

import pytest
from aiohttp.http_exceptions import BadStatusLine

from fleet.junk import EVERY_S, Junk


def record(error: Exception) -> logging.LogRecord:
    try:
        raise error
    except Exception:
        about = sys.exc_info()
    return logging.makeLogRecord({"msg": "Error handling request", "levelno": logging.ERROR, "exc_info": about})


def test_one_line_a_minute_that_says_how_many_there_were():
    """Without a traceback, and not as an error of ours."""
    now = [100.0]
    junk = Junk(lambda: now[0])
    lines = [record(BadStatusLine("\x16\x03")) for _ in range(10)]
    assert [junk.filter(line) for line in lines] == [True, *[False] * 9]
    assert (lines[0].getMessage(), lines[0].levelno, lines[0].exc_info) == (
        "a request that is not HTTP",
        logging.WARNING,
        None,
    )
    now[0] += EVERY_S
    later = record(BadStatusLine("SSH-2.0"))
    assert junk.filter(later)
    assert later.left_out == 9


@pytest.mark.parametrize("error", [ValueError("ours"), ConnectionResetError()])
def test_other_errors_are_left_as_they_are(error: Exception):
    """With their tracebacks, each of them."""
    junk = Junk()
    for line in (record(error), record(error)):
        assert junk.filter(line)
        assert (line.levelno, line.exc_info[1]) == (logging.ERROR, error)
