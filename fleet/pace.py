"""How slowly a body may come: a caller who drips holds a place in the queue that others would use."""

import asyncio
from collections.abc import AsyncIterator, Callable

from fleet.errors import RequestTimeout

FLOOR_BYTES_S = 1_000  # the slowest speech codec sends more, live
WINDOW_S = 10.0


async def steady(
    chunks: AsyncIterator[bytes],
    *,
    total_s: float,
    floor_bytes_s: float = FLOOR_BYTES_S,
    window_s: float = WINDOW_S,
    is_over: Callable[[], bool] = bool,
) -> AsyncIterator[bytes]:
    """
    The chunks as they come; raises RequestTimeout below the floor for a window's time, and past `total_s`.

    Only time spent waiting for the caller counts, not what is done with a chunk. Who knows that no more will come may
    say so (`is_over`) and spare the wait for the end.
    """
    loop = asyncio.get_running_loop()
    waited_s, in_window_s, in_window_bytes = 0.0, 0.0, 0
    while not is_over():
        began = loop.time()
        try:
            async with asyncio.timeout(min(window_s - in_window_s, total_s - waited_s)):
                chunk = await anext(chunks, None)
        except TimeoutError as error:
            raise RequestTimeout from error
        if chunk is None:
            return
        took_s = loop.time() - began
        waited_s, in_window_s = waited_s + took_s, in_window_s + took_s
        in_window_bytes += len(chunk)
        if in_window_bytes >= floor_bytes_s * window_s:
            in_window_s, in_window_bytes = 0.0, 0
        yield chunk
