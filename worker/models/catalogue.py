"""Which models there are by name, and where their files lie: embedded, in a directory, or pulled from the Hub."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fleet.options import meant
from fleet.serve import StartupError
from worker.models import hub
from worker.models.hub import ADVICE, Progress

EMBEDDED = Path(__file__).parent
EMBEDDED_NAMES = tuple(sorted(path.parent.name for path in EMBEDDED.glob("*/model.bin")))


@dataclass(frozen=True, slots=True)
class HubModel:
    """
    What is known of a model before it is here.

    `size_mb` is its download: 16-bit weights, two bytes for each of the parameters that its authors give.
    """

    repository: str
    size_mb: int
    hears: str


ENGLISH, MANY, ALL = "English", "99 languages", "99 languages, translates"
TINY = HubModel("Systran/faster-whisper-tiny", 75, ALL)
BASE = HubModel("Systran/faster-whisper-base", 145, ALL)
SMALL = HubModel("Systran/faster-whisper-small", 484, ALL)
MEDIUM = HubModel("Systran/faster-whisper-medium", 1530, ALL)
LARGE = HubModel("Systran/faster-whisper-large-v3", 3090, ALL)
TURBO = HubModel("mobiuslabsgmbh/faster-whisper-large-v3-turbo", 1620, MANY)
HUB = {
    "tiny": TINY,
    "tiny.en": HubModel("Systran/faster-whisper-tiny.en", TINY.size_mb, ENGLISH),
    "base": BASE,
    "base.en": HubModel("Systran/faster-whisper-base.en", BASE.size_mb, ENGLISH),
    "small": SMALL,
    "small.en": HubModel("Systran/faster-whisper-small.en", SMALL.size_mb, ENGLISH),
    "medium": MEDIUM,
    "medium.en": HubModel("Systran/faster-whisper-medium.en", MEDIUM.size_mb, ENGLISH),
    "large": LARGE,
    "large-v1": HubModel("Systran/faster-whisper-large-v1", LARGE.size_mb, ALL),
    "large-v2": HubModel("Systran/faster-whisper-large-v2", LARGE.size_mb, ALL),
    "large-v3": LARGE,
    "distil-small.en": HubModel("Systran/faster-distil-whisper-small.en", 332, ENGLISH),
    "distil-medium.en": HubModel("Systran/faster-distil-whisper-medium.en", 789, ENGLISH),
    "distil-large-v2": HubModel("Systran/faster-distil-whisper-large-v2", 1510, ENGLISH),
    "distil-large-v3": HubModel("Systran/faster-distil-whisper-large-v3", 1510, ENGLISH),
    "distil-large-v3.5": HubModel("distil-whisper/distil-large-v3.5-ct2", 1510, ENGLISH),
    "turbo": TURBO,
    "large-v3-turbo": TURBO,
}


def names() -> Iterator[str]:
    """Every name that needs no slash: the embedded models first."""
    yield from EMBEDDED_NAMES
    yield from HUB


def resolve(
    name: str, cache: str | None = None, *, is_offline: bool = False, on_progress: Progress | None = None
) -> Path:
    """
    The directory with the model's files, pulled if need be. `cache` is MODEL_DIR, None the Hub's own cache.

    Raises StartupError with one sentence: which model, why it could not be had, what works instead.
    """
    if name in EMBEDDED_NAMES:
        return EMBEDDED / name
    try:
        path = Path(name).expanduser()
        if path.is_dir():
            return _whole(path, is_offline=is_offline)
    except (OSError, RuntimeError) as error:  # RuntimeError: whose home that is, nobody knows
        reason = error.strerror if isinstance(error, OSError) else error
        raise StartupError(f"the directory given as MODEL cannot be read: {reason}; {ADVICE}") from error
    if name.startswith((".", "/", "~")):
        raise StartupError(f"there is no directory {name!r}; {ADVICE}")
    if "/" not in name and name not in HUB:
        hint = meant(name, names())
        rest = f"{hint} (whisper-fleet models lists all)" if hint else f"; known are {', '.join(names())}, or {ADVICE}"
        raise StartupError(f"there is no model called {name!r}{rest}")
    repository = HUB[name].repository if name in HUB else name
    return hub.pull(name, repository, cache, is_offline=is_offline, on_progress=on_progress)


def _whole(directory: Path, *, is_offline: bool) -> Path:
    """The directory, if it has what a model needs; raises StartupError."""
    if not (directory / "model.bin").is_file():
        raise StartupError(f"the directory given as MODEL has no model.bin; {ADVICE}")
    if is_offline and not (directory / "tokenizer.json").is_file():  # faster-whisper would fetch a general one
        raise StartupError(
            f"the directory given as MODEL has no tokenizer.json and OFFLINE forbids fetching it; {ADVICE}"
        )
    return directory
