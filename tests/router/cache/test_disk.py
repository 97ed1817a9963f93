"""The rest is the contract's: test_store.py."""

import errno
import stat

import diskcache
import pytest

from router.cache.disk import DiskStore
from router.cache.store import StoreFailed


def opened(folder, **changes):
    return DiskStore(folder, **({"max_bytes": 10_000_000, "ttl_s": 300} | changes))


async def test_answers_outlive_the_process_and_are_nobody_elses(tmp_path):
    """A second one, after the first or beside it, finds them; the folder is closed to other users."""
    first = opened(tmp_path / "answers")
    await first.put("a", b"x")
    beside = opened(tmp_path / "answers")
    assert await beside.get("a") == b"x"
    await first.close()
    await beside.close()
    after = opened(tmp_path / "answers")
    assert await after.get("a") == b"x"
    await after.close()
    assert stat.S_IMODE((tmp_path / "answers").stat().st_mode) == 0o700


async def test_nothing_is_unpickled(tmp_path):
    """What somebody else put into the folder is never run: diskcache alone would."""
    unpickled = []

    class Trap:
        def __reduce__(self):
            return (unpickled.append, ("run",))

    with diskcache.Cache(str(tmp_path / "answers")) as other:
        other["a"] = Trap()
        other["b"] = "text"
    store = opened(tmp_path / "answers")
    for key in "ab":
        with pytest.raises(StoreFailed):
            await store.get(key)
    await store.close()
    assert unpickled == []


async def test_a_full_disk_is_a_failure_of_the_store(tmp_path, monkeypatch):
    """Named so, for whoever decides what follows; what was kept is still there."""
    store = opened(tmp_path / "answers")
    await store.put("a", b"x")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("router.cache.disk.PlainBytes._write", full)
    with pytest.raises(StoreFailed):
        await store.put("b", bytes(100_000))
    assert (await store.get("a"), await store.get("b")) == (b"x", None)
    await store.close()


async def test_deleted_text_is_overwritten(tmp_path):
    """Not a word is left in the index's file once it is swept and closed."""
    store = opened(tmp_path / "answers", ttl_s=0.001)
    await store.put("a", b"the secret words of somebody " * 50)
    await store.sweep()
    await store.sweep()
    assert (await store.size()).entries == 0
    await store.close()
    left = b"".join(path.read_bytes() for path in (tmp_path / "answers").rglob("*") if path.is_file())
    assert b"secret words" not in left
