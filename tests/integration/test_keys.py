"""Keys as an operator and a caller use them: real processes, the command, OpenAI's own client."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import openai
import pytest

from router.key_watch import RELOADED_WITHIN_S


def keys(path: Path, *arguments: str) -> str:
    """What `whisper-fleet keys` says on stdout."""
    command = [sys.executable, "-m", "fleet.cli", "keys", *arguments]
    environ = os.environ | {"API_KEYS_FILE": str(path)}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ, check=True).stdout


def client(fleet: Any, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{fleet.url}/v1", api_key=key, max_retries=0, timeout=60)


def transcribe(caller: openai.OpenAI) -> Any:
    return caller.audio.transcriptions.with_raw_response.create(model="whisper-1", file=("a.wav", b"any"))


@pytest.mark.real
def test_a_key_from_its_making_to_its_end(start_fleet: Any, tmp_path: Path):
    """`up` starts with a file of keys; limits bite and are shown; keys come and go without a restart."""
    path = tmp_path / "keys.json"
    limited = keys(path, "add", "--name", "limited", "--rate", "2/hour").strip()
    fleet = start_fleet("--workers", "1", "--model", "fake:0.01", API_KEYS_FILE=str(path))
    fleet.wait_ready()
    assert "whisper-fleet keys" in "".join(fleet.out)

    with client(fleet, limited) as caller:
        answer = transcribe(caller)
        assert answer.parse().text
        assert answer.headers["x-ratelimit-limit-requests"] == "2"
        assert answer.headers["x-ratelimit-remaining-requests"] == "1"
        transcribe(caller)
        with pytest.raises(openai.RateLimitError) as refused:
            transcribe(caller)
        assert refused.value.code == "rate_limit_exceeded"
        assert refused.value.response.headers["x-should-retry"] == "false"
    with client(fleet, "any") as stranger, pytest.raises(openai.AuthenticationError):
        transcribe(stranger)

    added = keys(path, "add", "--name", "added").strip()
    since = time.monotonic()
    with client(fleet, added) as caller:
        assert within_promise(since, lambda: transcribe(caller).parse().text)
        keys(path, "revoke", "added")
        since = time.monotonic()
        assert within_promise(since, lambda: is_refused(caller))
    assert limited not in "".join(fleet.out + fleet.err)
    assert added not in "".join(fleet.out + fleet.err)


def within_promise(since: float, holds: Any) -> bool:
    """Whether it came true in time; a busy machine's own delay is forgiven."""
    while time.monotonic() < since + RELOADED_WITHIN_S + 5:
        try:
            if holds():
                return True
        except openai.AuthenticationError:
            pass
        time.sleep(0.05)
    return False


def is_refused(caller: openai.OpenAI) -> bool:
    try:
        transcribe(caller)
    except openai.AuthenticationError:
        return True
    return False
