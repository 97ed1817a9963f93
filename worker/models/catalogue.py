"""Which models there are by name, and where their files lie: embedded, in a directory, or pulled from the Hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fleet.serve import StartupError
from worker.models import hub
from worker.models.hub import ADVICE, Progress

EMBEDDED = Path(__file__).parent
EMBEDDED_NAMES = tuple(sorted(path.parent.name for path in EMBEDDED.glob("*/model.bin")))

# fmt: off
HUB = {
    "tiny": "Systran/faster-whisper-tiny", "tiny.en": "Systran/faster-whisper-tiny.en",
    "base": "Systran/faster-whisper-base", "base.en": "Systran/faster-whisper-base.en",
    "small": "Systran/faster-whisper-small", "small.en": "Systran/faster-whisper-small.en",
    "medium": "Systran/faster-whisper-medium", "medium.en": "Systran/faster-whisper-medium.en",
    "large": "Systran/faster-whisper-large-v3", "large-v1": "Systran/faster-whisper-large-v1",
    "large-v2": "Systran/faster-whisper-large-v2", "large-v3": "Systran/faster-whisper-large-v3",
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
    "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "distil-large-v2": "Systran/faster-distil-whisper-large-v2",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
}
# fmt: on


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
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "model.bin").is_file():
            raise StartupError(f"the directory given as MODEL has no model.bin; {ADVICE}")
        return path
    if name.startswith((".", "/", "~")):
        raise StartupError(f"there is no directory {name!r}; {ADVICE}")
    if "/" not in name and name not in HUB:
        raise StartupError(f"there is no model called {name!r}; known are {', '.join(names())}, or {ADVICE}")
    return hub.pull(name, HUB.get(name, name), cache, is_offline=is_offline, on_progress=on_progress)
