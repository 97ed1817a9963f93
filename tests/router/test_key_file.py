"""The file of keys: whole or not at all, its owner's alone, and useless without the pepper."""

import contextlib
import json
import tempfile
import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import FleetError
from router.key_file import KeyFile, KeyFileError
from router.keyring import RecordError
from router.keys import Keys
from router.limits import UNLIMITED, Limits

NOW = datetime.now(UTC)


@pytest.fixture
def file(tmp_path):
    return KeyFile.at(str(tmp_path / "keys.json"))


def added(file, name="crm", limits=UNLIMITED):
    return file.add(name, limits, now=NOW, expires_at=None)


def test_what_was_added_is_read(file):
    """By its key; after it was revoked, by nothing."""
    key, record = added(file, limits=Limits(requests=60, per_s=60, concurrency=8, audio_s_per_day=360_000))
    assert file.read().find(key, NOW) == record
    other_key, _ = added(file, "kiosk")
    assert file.revoke("crm") == record
    assert file.read().find(key, NOW) is None
    assert file.read().find(other_key, NOW) is not None
    with pytest.raises(RecordError, match="no key"):
        file.revoke("crm")


def test_both_files_are_their_owners_alone(file):
    """From the first moment on and after every change."""
    added(file)
    added(file, "kiosk")
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.pepper_path.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in file.path.parent.iterdir()} == {"keys.json", "keys.json.pepper"}


def test_neither_the_key_nor_the_pepper_is_in_the_file(file):
    """Nor anything from which a key could be made without the pepper."""
    key, record = added(file)
    text = file.path.read_text()
    assert key not in text
    assert key.rpartition(record.id)[2] not in text
    assert file.pepper_path.read_text().strip() not in text


def test_two_keys_of_one_name_would_be_mixed_up(file):
    """So the second is refused."""
    added(file)
    with pytest.raises(RecordError, match="already"):
        added(file)
    assert len(file.read().records) == 1


def test_keys_that_are_added_at_once_are_all_there(file):
    """Nobody overwrites what another wrote meanwhile, the first pepper included."""
    threads = [threading.Thread(target=added, args=(file, f"n{number}")) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {record.name for record in file.read().records} == {f"n{number}" for number in range(8)}


def test_a_failed_change_leaves_the_file_as_it_was(file, monkeypatch):
    """And nothing beside it."""
    key, _ = added(file)
    before = file.path.read_bytes()
    monkeypatch.setattr("router.key_file.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space"):
        added(file, "kiosk")
    assert file.path.read_bytes() == before
    assert len(list(file.path.parent.iterdir())) == 2
    assert file.read().find(key, NOW)


GOOD = {"id": "abcdefgh", "name": "a", "digest": "0" * 64}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: json.dumps(content).encode()[:-9],
        lambda content: b"[" * 100_000,
        lambda content: b"\xff\xfe",
        lambda content: b"[]",
        lambda content: json.dumps(content | {"version": 2}).encode(),
        lambda content: json.dumps(content | {"keys": None}).encode(),
        lambda content: json.dumps(content | {"keys": ["x"]}).encode(),
        lambda content: json.dumps(content | {"keys": [GOOD, GOOD | {"name": "b"}]}).encode(),
        lambda content: json.dumps(content | {"keys": [GOOD, GOOD | {"id": "hgfedcba"}]}).encode(),
        lambda content: b" " * (17 << 20),
    ],
    ids=range(11),
)
def test_a_bad_file_is_one_sentence(file, spoil):
    """Never an error of another kind, never its content."""
    key, record = added(file)
    file.path.write_bytes(spoil(json.loads(file.path.read_text())))
    with pytest.raises(KeyFileError) as caught:
        file.read()
    assert record.digest not in str(caught.value)
    assert key not in str(caught.value)


def test_another_pepper_is_noticed(file):
    """Before every caller is told that its key is wrong."""
    added(file)
    file.pepper_path.write_text("another pepper, long enough\n")
    with pytest.raises(KeyFileError, match="another pepper"):
        file.read()
    file.pepper_path.write_text("short\n")
    with pytest.raises(KeyFileError, match="shorter"):
        file.read()
    file.pepper_path.unlink()
    with pytest.raises(KeyFileError, match="No such file"):
        file.read()


def test_a_stamp_tells_a_written_file_from_an_unwritten_one(file):
    """Also where it was replaced by one of the same size."""
    assert file.stamp() is None
    added(file)
    stamp = file.stamp()
    assert file.stamp() == stamp
    file.revoke("crm")
    added(file)
    assert file.stamp() != stamp


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([10**400, "a", 60]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
MOMENTS = st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()) | ODD
LIMITS = ODD | st.dictionaries(
    st.sampled_from(["requests", "per_s", "concurrency", "audio_s_per_day"]), st.integers(1, 10**30) | ODD
)


@given(st.fixed_dictionaries({}, optional={"id": ODD, "name": ODD, "created_at": MOMENTS, "expires_at": MOMENTS,
                                           "limits": LIMITS, "digest": ODD}))  # fmt: skip
def test_whatever_a_file_holds_it_is_taken_or_refused(change):
    """Nothing in it can end the task that reads it again and again: what is taken can be worked with."""
    with tempfile.TemporaryDirectory() as folder:
        file = KeyFile.at(f"{folder}/keys.json")
        key, record = added(file)
        content = json.loads(file.path.read_text()) | {"keys": [record.to_json() | change]}
        file.path.write_text(json.dumps(content))
        keys = Keys(None, None)
        try:
            keys.replace(file.read())
        except KeyFileError:
            return
        with contextlib.suppress(FleetError), keys.allowance(keys.tenant(key, "10.0.0.1")).request(1.0):
            pass
