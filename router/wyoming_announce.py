"""Tells the local network that there is a Wyoming service, so that Home Assistant offers it by itself."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fleet.serve import StartupError

SERVICE = "_wyoming._tcp.local."
MULTICAST = ("224.0.0.251", 5353)  # RFC 6762
ANY = ("0.0.0.0", "::", "")


@asynccontextmanager
async def announced(name: str | None, host: str, port: int) -> AsyncIterator[None]:
    """Announce for as long as the block runs, if there is a name to announce; raises StartupError."""
    if name is None:
        yield
        return
    try:
        from zeroconf import BadTypeInNameException  # noqa: PLC0415  an extra of its own
        from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf  # noqa: PLC0415
    except ImportError as error:
        message = "WYOMING_ZEROCONF needs a package that is not installed: pip install 'whisper-fleet[zeroconf]'"
        raise StartupError(message) from error
    try:
        address = _own_address() if host in ANY else host
        service = AsyncServiceInfo(SERVICE, f"{name}.{SERVICE}", port=port, parsed_addresses=[address])
        zeroconf = AsyncZeroconf(interfaces=[address])
    except BadTypeInNameException as error:
        raise StartupError("WYOMING_ZEROCONF must be a name of 1 to 63 bytes, without control characters.") from error
    except OSError as error:
        raise StartupError(f"cannot announce Wyoming on {host}: {error.strerror} (WYOMING_ZEROCONF)") from error
    try:
        await zeroconf.async_register_service(service, allow_name_change=True)
        yield
    finally:
        await zeroconf.async_close()  # says that the service has gone


def _own_address() -> str:
    """The address that others on the local network know this machine by: nothing is sent to find it out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(MULTICAST)
        return str(probe.getsockname()[0])
