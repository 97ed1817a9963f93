"""Server-sent events: a comment at once, segments as they come, and an end that always says how it went."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from aiohttp import web

from fleet import progress, render
from fleet.errors import FleetError
from fleet.fields import TranscriptionRequest
from fleet.wire import Segment, Transcript

logger = logging.getLogger(__name__)


async def send(
    response: web.StreamResponse,
    segments: AsyncGenerator[Segment, None],
    wanted: TranscriptionRequest,
    transcript: Callable[[], Transcript],
) -> FleetError | None:
    """
    Send a prepared response to its end; returns the error that was sent in place of the rest, if one was.

    Comments go out every ten seconds for as long as it takes, so that no proxy between closes the connection.
    """
    error: FleetError | None = None
    lost: ConnectionResetError | None = None  # raised outside of the group, which would wrap it
    async with asyncio.TaskGroup() as group:
        beating = group.create_task(_beat(response))
        try:
            error = await _tell(response, segments, wanted, transcript)
        except ConnectionResetError as raised:
            lost = raised
        finally:
            beating.cancel()
    if lost is not None:
        raise lost
    return error  # the end of the body is sent after the slot is free: a router that reads it may send the next request


async def _tell(
    response: web.StreamResponse,
    segments: AsyncGenerator[Segment, None],
    wanted: TranscriptionRequest,
    transcript: Callable[[], Transcript],
) -> FleetError | None:
    """Every segment and the end, or the error in place of what is missing."""
    try:
        async for segment in segments:
            await response.write(_event(segment, wanted, transcript))
        end = progress.whole_event if wanted.wants_progress else render.done_event
        await response.write(end(transcript(), wanted))
    except ConnectionResetError:
        raise
    except FleetError as raised:
        error = raised
    except Exception:  # the edge of this request: no status line can say it any more
        logger.exception("unexpected error")
        error = FleetError()
    else:
        return None
    await response.write(render.error_event(error))
    return error


def _event(segment: Segment, wanted: TranscriptionRequest, transcript: Callable[[], Transcript]) -> bytes:
    if wanted.wants_progress:
        return progress.progress_event(transcript())
    return render.delta_event(segment, wanted, is_first=segment.id == 0)


async def _beat(response: web.StreamResponse) -> None:
    with suppress(ConnectionResetError):  # whoever writes the segments will notice too
        while True:
            await response.write(render.HEARTBEAT)
            await asyncio.sleep(render.HEARTBEAT_S)
