"""Opens the cache with the store that CACHE names; a package that only one of them needs is imported only then."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.serve import StartupError
from router.cache.guard import Guard
from router.cache.memory import MemoryStore
from router.cache.store import Store
from router.cache.story import Cache, Server
from router.settings import RouterSettings


def open_cache(settings: RouterSettings, server: Server, identity: Callable[[str | None], str | None]) -> Cache | None:
    """The cache before this server, as Cache has it; None while it is off."""
    store = open_store(settings)
    if store is None:
        return None
    return Cache(
        Guard(store, within_s=settings.cache_timeout_s),
        server,
        identity=identity,
        followers_max=settings.max_queue,
        is_shared=settings.cache_shared,
    )


def open_store(settings: RouterSettings) -> Store | None:
    """None while the cache is off; raises StartupError with one sentence if it cannot be had."""
    max_bytes, ttl_s = round(settings.cache_max_mb * 1_000_000), settings.cache_ttl_s
    if settings.cache == "off":
        return None
    if settings.cache == "memory":
        return MemoryStore(max_bytes=max_bytes, ttl_s=ttl_s)
    if settings.cache == "disk":
        with _needed("diskcache", extra="cache"):
            from router.cache.disk import DiskStore  # noqa: PLC0415
        folder = Path(settings.cache_dir) if settings.cache_dir else default_folder()
        try:
            return DiskStore(folder, max_bytes=max_bytes, ttl_s=ttl_s)
        except (OSError, sqlite3.Error) as error:
            raise StartupError(f"the folder of CACHE=disk cannot be used: {error}; set CACHE_DIR") from error
    with _needed("redis", extra="redis"):
        from router.cache.redis import RedisStore  # noqa: PLC0415
    return RedisStore(settings.cache, ttl_s=ttl_s, within_s=settings.cache_timeout_s)


def default_folder() -> Path:
    """Where this user's caches lie."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper-fleet" / "answers"


@contextmanager
def _needed(package: str, *, extra: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        advice = f"pip install 'whisper-fleet[{extra}]'"
        raise StartupError(
            f"this CACHE needs the Python package {package}, which is not installed: {advice}"
        ) from error
