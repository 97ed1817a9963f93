"""Random keys, of which only an HMAC is kept."""

import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import keyring
from router.keyring import KEY, KeyRecord, Keyring, RecordError, issue
from router.limits import Limits

PEPPER = b"p" * 32
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY_OF, RECORD = issue("crm", PEPPER, NOW, limits=Limits(concurrency=8))
OTHER_KEY, OTHER = issue("kiosk", PEPPER, NOW, expires_at=NOW + timedelta(days=1))


def test_a_key_opens_its_own_record():
    """And nothing else does."""
    ring = Keyring(PEPPER, [RECORD, OTHER])
    assert ring.find(KEY_OF, NOW) == RECORD
    assert ring.find(OTHER_KEY, NOW) == OTHER
    assert (ring.named("crm"), ring.with_id(RECORD.id), ring.named("nobody")) == (RECORD, RECORD, None)


def test_an_expired_key_opens_nothing():
    """From the very moment."""
    ring = Keyring(PEPPER, [OTHER])
    assert ring.find(OTHER_KEY, NOW + timedelta(hours=23)) == OTHER
    assert ring.find(OTHER_KEY, NOW + timedelta(days=1)) is None


def test_a_record_tells_nothing_about_its_key():
    """Neither its text nor its repr; and with another pepper, as a thief has none, no key opens it."""
    secret = KEY_OF.rpartition(f"{RECORD.id}-")[2]
    assert secret not in json.dumps(RECORD.to_json()) + repr(RECORD)
    assert Keyring(b"q" * 32, [RECORD]).find(KEY_OF, NOW) is None
    assert Keyring(b"", [RECORD]).find(KEY_OF, NOW) is None


def test_keys_are_random_and_have_a_look():
    """256 bits each, of a form that scanners for leaked secrets can be told."""
    keys = {issue("x", PEPPER, NOW)[0] for _ in range(100)}
    assert len(keys) == 100
    assert all(KEY.fullmatch(key) for key in keys)


@given(st.integers(0, len(KEY_OF) - 1), st.characters())
def test_one_wrong_letter_is_a_wrong_key(at, letter):
    """Wherever it stands."""
    wrong = KEY_OF[:at] + letter + KEY_OF[at + 1 :]
    assert wrong == KEY_OF or Keyring(PEPPER, [RECORD]).find(wrong, NOW) is None


@pytest.mark.parametrize(
    "key", ["", "sk-wf-", RECORD.id, KEY_OF + "x", KEY_OF[:-1], "\udcff", "k" * 10_000, KEY_OF.upper()]
)
def test_odd_keys_are_wrong_keys(key):
    """Never an error."""
    assert Keyring(PEPPER, [RECORD]).find(key, NOW) is None


def test_every_key_costs_one_hash_and_one_comparison_in_constant_time(monkeypatch):
    """Known id, unknown id, no key at all: the clock tells them apart no more than the answer does."""
    compared, hashed = [], []
    compare, digest = hmac.compare_digest, keyring.digest_of
    monkeypatch.setattr(keyring.hmac, "compare_digest", lambda a, b: compared.append((len(a), len(b))) or compare(a, b))
    monkeypatch.setattr(keyring, "digest_of", lambda key, pepper: hashed.append(key) or digest(key, pepper))
    ring = Keyring(PEPPER, [RECORD])
    for key in (KEY_OF, KEY_OF[:-1] + "?", OTHER_KEY, "nonsense", ""):
        ring.find(key, NOW)
    assert compared == [(64, 64)] * 5
    assert len(hashed) == 5


def test_a_file_gives_back_the_record():
    """With its limits and dates."""
    for record in (RECORD, OTHER):
        assert KeyRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize(
    "change",
    [{"id": "x"}, {"id": 5}, {"name": ""}, {"name": "a b"}, {"name": "a\nb"}, {"digest": "00"}, {"expires_at": "soon"},
     {"expires_at": "2027-01-31T00:00:00"}, {"limits": {"rate": 5}}, {"limits": None}, {"surprise": 1},
     {"created_at": 5}],
)  # fmt: skip
def test_what_a_file_may_hold_instead_is_refused(change):
    """With a sentence, and never with the digest in it."""
    with pytest.raises(RecordError) as caught:
        KeyRecord.from_json(RECORD.to_json() | change)
    assert RECORD.digest not in str(caught.value)


@pytest.mark.parametrize("value", [None, [], "key", {}, {"id": RECORD.id}])
def test_what_is_no_record_is_refused(value):
    """With a sentence."""
    with pytest.raises(RecordError):
        KeyRecord.from_json(value)
