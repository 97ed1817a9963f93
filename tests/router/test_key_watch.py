"""The router's keys follow the file; a bad file changes nothing but the log."""

import asyncio
import logging
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from router.key_file import KeyFile, KeyFileError
from router.key_watch import KeyWatch
from router.limits import UNLIMITED

NOW = datetime.now(UTC)


@pytest.fixture
def file(tmp_path):
    one = KeyFile.at(str(tmp_path / "keys.json"))
    one.add("first", UNLIMITED, now=NOW, expires_at=None)
    return one


@asynccontextmanager
async def watched(file):
    """The rings that were handed over, as they come."""
    rings = []
    watch = KeyWatch(file, rings.append, interval_s=0.02)
    watch.start()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch.loop())
        yield rings
        task.cancel()


async def test_what_is_added_and_revoked_is_known_without_a_restart(file, eventually):
    """Both ways; an unchanged file is not read again."""
    async with watched(file) as rings:
        assert [record.name for record in rings[0].records] == ["first"]
        key, _ = file.add("second", UNLIMITED, now=NOW, expires_at=None)
        await eventually(lambda: rings[-1].find(key, NOW))
        file.revoke("second")
        await eventually(lambda: rings[-1].find(key, NOW) is None)
        assert len(rings) == 3


async def test_a_bad_file_keeps_the_last_good_one_and_says_so(file, eventually, caplog):
    """Loudly, once for each time it was written; when it is mended, it is read."""
    good = file.path.read_bytes()
    async with watched(file) as rings:
        file.path.write_bytes(b"{")
        await eventually(lambda: "is not JSON" in caplog.text or any("JSON" in str(vars(r)) for r in caplog.records))
        file.path.unlink()
        await eventually(lambda: len([r for r in caplog.records if r.levelno == logging.ERROR]) == 2)
        assert len(rings) == 1
        file.path.write_bytes(good)
        await eventually(lambda: len(rings) == 2)
        assert [record.name for record in rings[-1].records] == ["first"]
    assert all("stay in force" in r.message for r in caplog.records if r.levelno == logging.ERROR)


async def test_a_pepper_that_comes_back_is_noticed(file, eventually, caplog):
    """Though the file itself was not written since."""
    pepper = file.pepper_path.read_bytes()
    async with watched(file) as rings:
        file.pepper_path.unlink()
        file.path.touch()
        await eventually(lambda: any(r.levelno == logging.ERROR for r in caplog.records))
        file.pepper_path.write_bytes(pepper)
        await eventually(lambda: len(rings) == 2)


def test_the_first_reading_must_succeed(tmp_path):
    """There are no good keys to keep."""
    with pytest.raises(KeyFileError, match="No such file"):
        KeyWatch(KeyFile.at(str(tmp_path / "none.json")), lambda _: None).start()
