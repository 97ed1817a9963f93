"""What JOBS may be."""

import builtins
from pathlib import Path

import pytest

from fleet.serve import StartupError
from fleet.settings import SettingError
from router.deferred.place import check, default_path, open_database


@pytest.mark.parametrize("jobs", ["off", "sqlite", "sqlite:////var/jobs.db", "postgresql://u@h/d", "postgres://h/d"])
def test_good_values(jobs):
    """Named in the message about bad ones."""
    check(jobs)


@pytest.mark.parametrize("jobs", ["", "on", "sqlite://", "sqlite:///", "mysql://user:secret@host/x"])
def test_bad_values_are_told_and_not_repeated(jobs):
    """They may hold a password."""
    with pytest.raises(SettingError, match="JOBS") as error:
        check(jobs)
    assert "secret" not in str(error.value)
    with pytest.raises(SettingError, match="JOBS"):  # in place of a store that nobody asked for
        open_database(jobs, port=1)


def test_where_jobs_are_by_default():
    """In the folder for state, one for each port; a relative XDG_STATE_HOME is to be ignored, as its standard says."""
    assert default_path(8083, {"XDG_STATE_HOME": "/s"}) == Path("/s/whisper-fleet/jobs-8083.sqlite")
    home = Path("/home/me/.local/state/whisper-fleet/jobs-9000.sqlite")
    assert default_path(9000, {"XDG_STATE_HOME": "rel", "HOME": "/home/me"}) == home


def test_no_place_by_default_is_no_reason_to_stop(tmp_path):
    """One that was asked for by name is."""
    (tmp_path / "file").write_text("")
    assert open_database("sqlite", port=1, environ={"XDG_STATE_HOME": str(tmp_path / "file")}) is None
    with pytest.raises(StartupError, match="JOBS"):
        open_database(f"sqlite:///{tmp_path}/file/jobs.sqlite", port=1)
    assert open_database("off", port=1) is None


def test_postgres_without_its_package_names_the_extra(monkeypatch):
    """Before anything is served."""
    real = builtins.__import__

    def without(name, *rest):
        if name == "psycopg":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(StartupError, match=r"whisper-fleet\[postgres\]"):
        open_database("postgresql://u@h/d", port=1)
