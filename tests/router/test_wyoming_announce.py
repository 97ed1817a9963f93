"""The announcement is heard on the local network while the door is open, and withdrawn after."""

import asyncio
import errno
import socket
import sys

import pytest

from fleet.serve import StartupError
from router import wyoming_announce
from router.wyoming_announce import SERVICE, announced

HERE = "127.0.0.1"


def has_multicast():
    """Whether this system lets a program join zeroconf's group on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            group = socket.inet_aton("224.0.0.251") + socket.inet_aton(HERE)
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        except OSError:
            return False
    return True


async def found(name):
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

    zeroconf = AsyncZeroconf(interfaces=[HERE])
    try:
        info = AsyncServiceInfo(SERVICE, f"{name}.{SERVICE}")
        is_there = await info.async_request(zeroconf.zeroconf, 3000)
        return (info.port, info.parsed_addresses()) if is_there else None
    finally:
        await zeroconf.async_close()


@pytest.mark.skipif(not has_multicast(), reason="this system lets nobody join a multicast group on loopback")
async def test_others_find_it():
    """
    Address and port under the name, as Home Assistant looks for it; over loopback, where the system lets it.
    """
    async with announced("whisper-fleet-test", HERE, 10300):
        assert await found("whisper-fleet-test") == (10300, [HERE])


async def test_nothing_is_announced_unasked():
    """
    And then the package is not even needed.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "zeroconf.asyncio", None)
        async with announced(None, HERE, 10300):
            pass


async def test_a_missing_package_is_named():
    """
    With the extra that brings it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "zeroconf.asyncio", None)
        with pytest.raises(StartupError, match=r"whisper-fleet\[zeroconf\]"):
            async with asyncio.timeout(5), announced("x", HERE, 10300):
                pass


@pytest.mark.parametrize("name", ["", "x" * 64, "line\n"])
async def test_a_name_that_cannot_be_announced_is_told(name):
    """
    With the setting's own; a traceback and another exit code would be tried again for ever.
    """
    with pytest.raises(StartupError, match="WYOMING_ZEROCONF"):
        async with asyncio.timeout(5), announced(name, HERE, 10300):
            pass


async def test_a_machine_without_a_network_is_told(monkeypatch):
    """
    Its own address is asked for first.
    """

    def unreachable():
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(wyoming_announce, "_own_address", unreachable)
    with pytest.raises(StartupError, match=r"Network is unreachable \(WYOMING_ZEROCONF\)"):
        async with asyncio.timeout(5), announced("x", "0.0.0.0", 10300):
            pass
