"""JOBS: where jobs are kept, or that there are none."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from fleet.serve import StartupError
from fleet.settings import SettingError
from router.deferred.database import Database
from router.deferred.postgres import PostgresDatabase
from router.deferred.sqlite import SqliteDatabase

SQLITE_PREFIX = "sqlite:///"
POSTGRES_PREFIXES = ("postgresql://", "postgres://")

logger = logging.getLogger(__name__)


def check(jobs: str) -> None:
    """Raise SettingError for what JOBS cannot be; the value may hold a password and is not repeated."""
    is_path = jobs.startswith(SQLITE_PREFIX) and len(jobs) > len(SQLITE_PREFIX)
    if jobs not in ("off", "sqlite") and not is_path and not jobs.startswith(POSTGRES_PREFIXES):
        raise SettingError("JOBS must be sqlite, sqlite:///PATH, postgresql://USER@HOST/DATABASE or off.")


def open_database(jobs: str, *, port: int, environ: Mapping[str, str] = os.environ) -> Database | None:
    """
    The database that JOBS names; None if it is off, or if the default folder cannot be used.

    Raises SettingError for what JOBS cannot be, StartupError for one that was asked for by name and cannot be used.
    """
    check(jobs)
    if jobs == "off":
        return None
    if jobs.startswith(POSTGRES_PREFIXES):
        return PostgresDatabase(jobs)
    if jobs.startswith(SQLITE_PREFIX):
        return SqliteDatabase(Path(jobs.removeprefix(SQLITE_PREFIX)))
    try:
        return SqliteDatabase(default_path(port, environ))
    except StartupError as error:
        logger.warning("there will be no jobs", extra={"reason": str(error)})
        return None


def default_path(port: int, environ: Mapping[str, str]) -> Path:
    """In the user's folder for state, one for each port, so that two fleets on a machine do not meet."""
    state = environ.get("XDG_STATE_HOME", "")
    folder = Path(state) if state.startswith("/") else Path(environ.get("HOME") or "/nonexistent") / ".local" / "state"
    return folder / "whisper-fleet" / f"jobs-{port}.sqlite"
