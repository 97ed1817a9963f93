"""
The file of keys, and the pepper beside it: read whole, written whole, never half (format: docs/keys.md).

Both are readable by their owner alone. The pepper is a file of its own, so that who gets hold of a backup or a
configuration map with the keys in it has nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from router.keyring import KeyRecord, Keyring, RecordError, issue
from router.limits import Limits

VERSION = 1
FILE_BYTES_MAX = 16 << 20  # some 50 000 keys
PEPPER_BYTES_MIN = 16

Stamp = tuple[int, int, int]  # what changes when a file is written or replaced


class KeyFileError(Exception):
    """The file of keys, or its pepper, cannot be used; the message is for the operator and names no key."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Where the keys are. Everything here blocks: off the event loop, please."""

    path: Path
    pepper_path: Path

    @classmethod
    def at(cls, path: str, pepper_path: str | None = None) -> KeyFile:
        """The pepper's place is beside the file unless one is named."""
        return cls(Path(path), Path(pepper_path or f"{path}.pepper"))

    def stamp(self) -> Stamp | None:
        """Differs from an earlier one if the file was written since; None if it is not there."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def read(self) -> Keyring:
        """The keys; raises KeyFileError."""
        try:
            with self.path.open("rb") as file:
                text = file.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            raise KeyFileError(f"{self.path} cannot be read: {os.strerror(error.errno or 0)}.") from error
        if len(text) > FILE_BYTES_MAX:
            raise KeyFileError(f"{self.path} is larger than {FILE_BYTES_MAX >> 20} MiB.")
        pepper = self._pepper()
        return Keyring(pepper, self._records(text, pepper))

    def add(self, name: str, limits: Limits, *, now: datetime, expires_at: datetime | None) -> tuple[str, KeyRecord]:
        """A new key and its record; raises KeyFileError, RecordError for a name that is none or taken."""
        with self._changed() as records:
            if any(record.name == name for record in records):
                raise RecordError(f"there is a key named {name} already; revoke it, or choose another name.")
            key, record = issue(name, self._pepper(), now, limits=limits, expires_at=expires_at)
            records.append(record)
        return key, record

    def revoke(self, which: str) -> KeyRecord:
        """Take out the key with this id or name; raises KeyFileError, RecordError if there is none."""
        with self._changed() as records:
            found = next((record for record in records if which in (record.id, record.name)), None)
            if found is None:
                raise RecordError(f"there is no key with the id or name {which!r}.")
            records.remove(found)
        return found

    @contextmanager
    def _changed(self) -> Iterator[list[KeyRecord]]:
        """The records, to be changed in place and written back; who else wants to change them waits."""
        self._make_pepper()
        with self.pepper_path.open("rb") as lock:  # the file itself is replaced, and a lock would go with it
            fcntl.flock(lock, fcntl.LOCK_EX)
            records = list(self.read().records) if self.path.exists() else []
            yield records
            self._write(records)

    def _records(self, text: bytes, pepper: bytes) -> list[KeyRecord]:
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise KeyFileError(f"{self.path} is not JSON.") from error
        if not isinstance(content, dict) or content.get("version") != VERSION:
            raise KeyFileError(f'{self.path} must be an object with "version": {VERSION}.')
        if content.get("pepper") != mark_of(pepper):
            raise KeyFileError(f"the keys of {self.path} were made with another pepper than {self.pepper_path} has.")
        listed = content.get("keys")
        if not isinstance(listed, list):
            raise KeyFileError(f'{self.path} must have a list "keys".')
        try:
            records = [KeyRecord.from_json(each) for each in listed]
        except RecordError as error:
            raise KeyFileError(f"{self.path}: {error}") from error
        for which in ("id", "name"):
            if len({getattr(record, which) for record in records}) < len(records):
                raise KeyFileError(f"{self.path} has two keys of one {which}.")
        return records

    def _write(self, records: Sequence[KeyRecord]) -> None:
        keys = [record.to_json() for record in records]
        content: dict[str, Any] = {"version": VERSION, "pepper": mark_of(self._pepper()), "keys": keys}
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")  # mkstemp: 0600
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(content, file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _pepper(self) -> bytes:
        try:
            pepper = self.pepper_path.read_bytes().strip()
        except OSError as error:
            message = f"the pepper {self.pepper_path} cannot be read: {os.strerror(error.errno or 0)}."
            raise KeyFileError(message) from error
        if len(pepper) < PEPPER_BYTES_MIN:
            raise KeyFileError(f"the pepper {self.pepper_path} is shorter than {PEPPER_BYTES_MIN} bytes.")
        return pepper

    def _make_pepper(self) -> None:
        """Written beside its place and linked into it, so that nobody ever reads half of one."""
        if self.pepper_path.exists():
            return
        handle, name = tempfile.mkstemp(dir=self.pepper_path.parent, prefix=f".{self.pepper_path.name}.")
        try:
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_hex(32) + "\n")
            os.link(name, self.pepper_path)
        except FileExistsError:
            pass  # another process was first; its pepper is the one
        finally:
            Path(name).unlink(missing_ok=True)


def mark_of(pepper: bytes) -> str:
    """Tells one pepper from another without telling it."""
    return hmac.new(pepper, b"which pepper this is", hashlib.sha256).hexdigest()[:16]
