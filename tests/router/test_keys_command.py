"""`whisper-fleet keys`, as a person and as a script use it."""

from datetime import UTC, datetime, timedelta

import pytest

from router.key_file import KeyFile
from router.keys_command import main, parse_expiry
from router.limits import LimitError, Limits

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("API_KEYS_FILE", str(tmp_path / "keys.json"))
    monkeypatch.delenv("API_KEYS_PEPPER_FILE", raising=False)
    return tmp_path / "keys.json"


def test_add_list_revoke(path, capsys):
    """The key alone is on stdout, once; the list shows the limits and never the key; a revoked key is gone."""
    options = ["--rate", "60/min", "--concurrency", "8", "--audio-hours", "100/day", "--expires", "90d"]
    assert main(["add", "--name", "crm", *options]) == 0
    key = capsys.readouterr().out.strip()
    record = KeyFile.at(str(path)).read().find(key, datetime.now(UTC))
    assert record.limits == Limits(requests=60, per_s=60, concurrency=8, audio_s_per_day=360_000)

    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert record.id in shown
    assert "60 requests a minute, 8 requests at a time, 100 hours of audio a day" in shown
    assert key not in shown

    assert main(["revoke", record.id]) == 0
    assert main([]) == 0
    assert record.id not in capsys.readouterr().out.partition("Revoked")[2].partition("\n")[2]
    assert KeyFile.at(str(path)).read().find(key, datetime.now(UTC)) is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "--name", "a b"], "no name"),
        (["add", "--name", "a", "--rate", "many"], "60/min"),
        (["add", "--name", "a", "--audio-hours", "2/hour"], "by the day"),
        (["add", "--name", "a", "--concurrency", "0"], "above zero"),
        (["add", "--name", "a", "--expires", "2001-01-01"], "in the past"),
        (["revoke", "nobody"], "no key"),
        (["--file", "/nowhere/keys.json", "add", "--name", "a"], "No such file"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(path, capsys, arguments, said):
    """On stderr, with exit code 3, and nothing was made."""
    assert main(arguments) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert said in err
    assert not path.exists()


def test_the_file_may_be_named_before_or_after_what_to_do(path, tmp_path, capsys):
    """And counts more than the environment."""
    other = str(tmp_path / "other.json")
    assert main(["add", "--name", "a", "--file", other]) == 0
    assert main(["--file", other, "add", "--name", "b"]) == 0
    assert main(["list", "--file", other]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert not path.exists()


def test_without_a_file_it_asks_for_one(monkeypatch, capsys):
    """It guesses no place for secrets."""
    monkeypatch.delenv("API_KEYS_FILE", raising=False)
    assert main(["list"]) == 3
    assert "API_KEYS_FILE" in capsys.readouterr().err


def test_expiry():
    """A date in UTC, a moment, or days from now."""
    assert parse_expiry("2027-01-31", NOW) == datetime(2027, 1, 31, tzinfo=UTC)
    assert parse_expiry("2027-01-31T10:00+02:00", NOW) == datetime(2027, 1, 31, 8, tzinfo=UTC)
    assert parse_expiry("90d", NOW) == NOW + timedelta(days=90)
    for wrong in ("soon", "99999999999d", "31.1.2027"):
        with pytest.raises(LimitError):
            parse_expiry(wrong, NOW)
