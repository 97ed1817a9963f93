"""
Random keys with an id, of which only an HMAC is kept (core: no I/O; time is passed in).

A key is `sk-wf-ID-SECRET`. The secret is 256 random bits, so a fast hash is the right one: a slow one would protect
nothing more and hand everybody a way to keep the router busy (scrypt takes 40 ms, this 3 us). The pepper is kept
outside the file of keys; without it the file says nothing about any key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from router.limits import UNLIMITED, LimitError, Limits

PREFIX = "sk-wf-"
ID_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that are mistaken for another
ID_LENGTH = 8
KEY = re.compile(rf"{PREFIX}([{ID_LETTERS}]{{{ID_LENGTH}}})-[A-Za-z0-9_-]{{43}}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DIGEST = re.compile(r"[0-9a-f]{64}")
NOBODY = "0" * 64  # compared with where no key has the id, so that this takes as long


class RecordError(Exception):
    """A record of a key that cannot be used; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What is kept of a key. Its id is its tenant's name everywhere: queue, status, logs."""

    id: str
    name: str
    digest: str = field(repr=False)
    created_at: datetime
    expires_at: datetime | None = None
    limits: Limits = UNLIMITED

    def __post_init__(self) -> None:
        if not re.fullmatch(f"[{ID_LETTERS}]{{{ID_LENGTH}}}", self.id):
            raise RecordError(f"{self.id!r} is no id of a key.")
        if not NAME.fullmatch(self.name):
            raise RecordError(f"{self.name!r} is no name: letters, digits and ._- , 64 at most.")
        if not DIGEST.fullmatch(self.digest):
            raise RecordError(f"the digest of key {self.id} is not 64 hexadecimal digits.")

    def is_expired(self, now: datetime) -> bool:
        """Whether its date has passed."""
        return self.expires_at is not None and now >= self.expires_at

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        return {
            "id": self.id,
            "name": self.name,
            "digest": self.digest,
            "created_at": self.created_at.isoformat(),
            "expires_at": self.expires_at.isoformat() if self.expires_at else None,
            "limits": self.limits.to_json(),
        }

    @classmethod
    def from_json(cls, value: Any) -> KeyRecord:
        """Raises RecordError for whatever a file may hold instead."""
        names = {one.name for one in fields(cls)}
        if not isinstance(value, dict) or not set(value) <= names or not {"id", "name", "digest"} <= set(value):
            raise RecordError(f"a key must be an object with {', '.join(sorted(names))}.")
        if not all(isinstance(value[name], str) for name in ("id", "name", "digest")):
            raise RecordError("id, name and digest of a key must be texts.")
        try:
            return cls(
                id=value["id"],
                name=value["name"],
                digest=value["digest"],
                created_at=_moment(value.get("created_at")) or datetime.fromtimestamp(0, UTC),
                expires_at=_moment(value.get("expires_at")),
                limits=Limits.from_json(value.get("limits", {})),
            )
        except LimitError as error:
            raise RecordError(f"key {value['id']}: {error}") from error


def issue(
    name: str, pepper: bytes, now: datetime, *, limits: Limits = UNLIMITED, expires_at: datetime | None = None
) -> tuple[str, KeyRecord]:
    """A new key, to be shown once, and the record that is kept of it; raises RecordError for a name that is none."""
    key_id = "".join(secrets.choice(ID_LETTERS) for _ in range(ID_LENGTH))
    key = f"{PREFIX}{key_id}-{secrets.token_urlsafe(32)}"
    digest = digest_of(key, pepper)
    record = KeyRecord(id=key_id, name=name, digest=digest, created_at=now, expires_at=expires_at, limits=limits)
    return key, record


def digest_of(key: str, pepper: bytes) -> str:
    """HMAC-SHA-256 of the whole key, as hexadecimal digits."""
    return hmac.new(pepper, key.encode(errors="surrogateescape"), hashlib.sha256).hexdigest()


class Keyring:
    """The keys that are good. State: their records, replaced as a whole when the file changes."""

    def __init__(self, pepper: bytes, records: Sequence[KeyRecord] = ()) -> None:
        self._pepper = pepper
        self._by_id = {record.id: record for record in records}
        self._by_name = {record.name: record for record in records}

    def __repr__(self) -> str:
        return f"<Keyring of {len(self._by_id)} keys>"

    @property
    def records(self) -> Sequence[KeyRecord]:
        """Every key, expired ones too."""
        return list(self._by_id.values())

    def find(self, key: str, now: datetime) -> KeyRecord | None:
        """Whose key this is; None for any that is not good. Takes as long whether or not a key has the id."""
        shape = KEY.fullmatch(key)
        record = self._by_id.get(shape[1]) if shape else None
        is_same = hmac.compare_digest(digest_of(key, self._pepper), record.digest if record else NOBODY)
        return record if record is not None and is_same and not record.is_expired(now) else None

    def with_id(self, key_id: str) -> KeyRecord | None:
        """The key with this id."""
        return self._by_id.get(key_id)

    def named(self, name: str) -> KeyRecord | None:
        """The key with this name, for doors whose callers can send none."""
        return self._by_name.get(name)


def _moment(value: Any) -> datetime | None:
    """A date with its time zone; raises RecordError."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise RecordError(f"{value!r} is no date; write it as 2027-01-31T00:00:00+00:00.") from error
    if moment.tzinfo is None:
        raise RecordError(f"{value!r} needs a time zone, as in 2027-01-31T00:00:00+00:00.")
    return moment
