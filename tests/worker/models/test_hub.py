"""Models from the Hub, without a Hub."""

import socket
from types import SimpleNamespace

import pytest

from fleet.serve import StartupError
from worker.models import hub


def test_offline_and_not_here_is_one_sentence_with_advice(tmp_path):
    """Which model, and what to do instead."""
    with pytest.raises(StartupError) as refused:
        hub.pull("tiny", "Systran/faster-whisper-tiny", str(tmp_path), is_offline=True)

    assert "'tiny'" in str(refused.value)
    assert "MODEL=spoken-digits" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_hub_that_cannot_be_reached_is_one_sentence_too(tmp_path, monkeypatch):
    """No traceback of a library for the operator."""

    def fails(*_args, **_options):
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fails)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(StartupError, match=r"'tiny' could not be fetched"):
        hub.pull("tiny", "Systran/faster-whisper-tiny", str(tmp_path))


class Refused(Exception):
    """As the Hub's client raises it: an answer with a status, and text with an address."""

    response = SimpleNamespace(status_code=401)


def failing(cause):
    """A client of the Hub that wraps what went wrong, twice."""

    def fails(*_args, **_options):
        try:
            raise RuntimeError("at https://user:secret@hub/x") from cause
        except RuntimeError as error:
            raise OSError("Got an error at https://user:secret@hub/x") from error

    return fails


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "(Connection refused)"),
        (socket.gaierror(-2, "Name or service not known"), "(Name or service not known)"),
        (OSError(28, "No space left on device" * 99), "(No space left on device"),
        (Refused("for url https://user:secret@hub/x"), "(HTTP 401 Unauthorized)"),
        (ValueError("https://user:secret@hub/x"), "(ValueError)"),
    ],
)
def test_the_reason_is_told_and_no_address(tmp_path, monkeypatch, cause, said):
    """What lies at the bottom, bounded: an address may hold a password."""
    monkeypatch.setattr("huggingface_hub.snapshot_download", failing(cause))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(StartupError) as refused:
        hub.pull("tiny", "Systran/faster-whisper-tiny", str(tmp_path))

    assert f"could not be fetched from the Hub {said}" in str(refused.value)
    assert "secret" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_progress_is_told_in_bytes(tmp_path, monkeypatch):
    """As the Hub's client counts them; other units are not bytes."""
    told = []

    def fetches(*_args, local_files_only=False, tqdm_class=None, **_options):
        if local_files_only:
            raise OSError("not here")
        with tqdm_class(total=100, unit="B") as bar:
            bar.update(40)
            bar.update(60)
        with tqdm_class(total=3, unit="it") as bar:
            bar.update(1)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetches)
    assert (
        hub.pull("tiny", "x/y", str(tmp_path), on_progress=lambda done, total: told.append((done, total))) == tmp_path
    )
    assert told == [(40, 100), (100, 100)]
