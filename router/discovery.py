"""Which workers there are: a list that stays, or every address behind a DNS name, looked up again and again."""

import asyncio
import logging
import re
import socket
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from fleet.settings import SettingError

logger = logging.getLogger(__name__)

LOOKUP_TIMEOUT_S = 5
PLAIN = re.compile(r"[!-~]{1,2000}")  # visible ASCII: no space, no control character


class Discovery:
    """Keeps the pool told. An empty or failing answer leaves the last one standing."""

    def __init__(self, sources: Sequence[str], on_known: Callable[[list[str]], None], *, interval_s: float) -> None:
        self.sources = tuple(sources)
        self.errors = 0
        self.known = 0
        self.last_ok_at = time.monotonic()
        self._on_known = on_known
        self._interval_s = interval_s
        self._names = [dns_name(source) for source in sources if source.startswith("dns://")]
        self._fixed = [plain_url(source) for source in sources if not source.startswith("dns://")]
        self._last: dict[tuple[str, int], list[str]] = {}

    @property
    def source(self) -> str:
        """Where addresses come from, for the status page."""
        return ",".join(self.sources)

    def start(self) -> None:
        """Tell the pool of the workers that need no looking up."""
        self._tell()

    def add(self, url: str) -> None:
        """One more worker, by an operator."""
        if url not in self._fixed:
            self._fixed.append(url)
        self._tell()

    def remove(self, url: str) -> bool:
        """One worker less; False for one that only DNS names."""
        is_fixed = url in self._fixed
        self._fixed = [each for each in self._fixed if each != url]
        self._tell()
        return is_fixed

    async def loop(self) -> None:
        """Look names up and tell, for ever; a worker that left while it was busy is forgotten once it is idle."""
        while True:
            for name, port in self._names:
                await self._look_up(name, port)
            self._tell()
            await asyncio.sleep(self._interval_s)

    def _tell(self) -> None:
        urls = [*self._fixed, *(url for found in self._last.values() for url in found)]
        self.known = len(urls)
        self._on_known(urls)

    async def _look_up(self, name: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError) as error:
            self.errors += 1
            logger.warning("cannot look up %s: %s", name, error)
            return
        urls = sorted({_url(str(address[4][0]), port) for address in found})
        if urls:
            self._last[name, port] = urls
            self.last_ok_at = time.monotonic()


def dns_name(source: str) -> tuple[str, int]:
    """The name and port of a dns:// source; raises SettingError."""
    try:
        parts = urlsplit(source)
        name, port = parts.hostname or "", parts.port
        name.encode("idna")  # as every look-up does; it raises for a label that is empty or too long
    except ValueError:
        name, port = "", None
    if not name or not port:
        raise SettingError(f"WORKERS: {source} must be dns://NAME:PORT.")
    return name, port


def plain_url(source: str) -> str:
    """A worker's URL without a trailing slash; raises SettingError."""
    url = source if "://" in source else f"http://{source}"
    if not PLAIN.fullmatch(url) or not _is_address(url):
        raise SettingError(f"WORKERS: {source} is no URL; write http://HOST:PORT.")
    return url.rstrip("/")


def _is_address(url: str) -> bool:
    """Scheme, host and perhaps port and path: to a query nothing can be added, and a password would be shown."""
    try:
        parts = urlsplit(url)
        has_port = parts.port is not None
    except ValueError:
        return False
    is_more = parts.query or parts.fragment or parts.username is not None
    is_whole = bool(parts.hostname) and (has_port or ":" not in parts.netloc.rpartition("]")[2])
    return parts.scheme in ("http", "https") and is_whole and not is_more


def _url(address: str, port: int) -> str:
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
