"""Who had how much transcribed, and nothing of what was said."""

import json

from fleet.stages import Stages
from router.audit import Audit
from router.caller import Caller
from router.ledger import Finished

CALLER = Caller(request_id="r1", door="POST /v1/audio/transcriptions", arrived_at=0, deadline_at=1, tenant="k1")


def finished(**changes):
    told = {"at": 1.0, "status": 200, "code": "ok", "wait_s": 0.0, "took_s": 0.5, "audio_s": 9.004, "attempts": 1}
    return Finished(**{**told, "worker": "w", "tenant": "k1", "key_class": "key", "stages": Stages(), **changes})


def test_a_line_a_request(tmp_path):
    """Whose, when, by which door, how many seconds, how it ended; the file is its owner's alone."""
    path = tmp_path / "audit.jsonl"
    audit = Audit.at(str(path))
    audit.note(CALLER, "crm", finished())
    audit.note(CALLER, "crm", finished(status=429, code="rate_limit_exceeded", attempts=0, worker=None))
    audit.close()
    first, second = map(json.loads, path.read_text().splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "key_id": "k1",
        "key_name": "crm",
        "request_id": "r1",
        "route": "POST /v1/audio/transcriptions",
        "audio_s": 9.0,
        "status": 200,
        "outcome": "ok",
    }
    assert (second["outcome"], second["audio_s"]) == ("rate_limit_exceeded", 0.0)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_moved_away_is_opened_anew(tmp_path):
    """As whoever rotates logs expects."""
    path = tmp_path / "audit.jsonl"
    audit = Audit.at(str(path))
    audit.note(CALLER, "crm", finished())
    path.rename(tmp_path / "audit.jsonl.1")
    audit.note(CALLER, "crm", finished())
    audit.close()
    assert len(path.read_text().splitlines()) == len((tmp_path / "audit.jsonl.1").read_text().splitlines()) == 1
    assert path.stat().st_mode & 0o777 == 0o600


def test_stdout(capsys):
    """For containers."""
    Audit.at("-").note(CALLER, "", finished())
    assert json.loads(capsys.readouterr().out)["key_id"] == "k1"
