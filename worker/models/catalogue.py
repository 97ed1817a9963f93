"""Which models there are by name, and where their files lie: embedded, in a directory, or pulled from the Hub."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fleet.serve import StartupError

EMBEDDED = Path(__file__).parent
EMBEDDED_NAMES = tuple(sorted(path.parent.name for path in EMBEDDED.glob("*/model.bin")))
FILES = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*", "card.json")

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

Progress = Callable[[int, int], None]  # (bytes so far, bytes in all)


def names() -> Iterator[str]:
    """Every name that needs no slash: the embedded models first."""
    yield from EMBEDDED_NAMES
    yield from HUB


def resolve(
    name: str, directory: str | None = None, *, is_offline: bool = False, on_progress: Progress | None = None
) -> Path:
    """
    The directory with the model's files, pulled if need be.

    Raises StartupError with one sentence: which model, why it could not be had, what works instead.
    """
    if name in EMBEDDED_NAMES:
        return EMBEDDED / name
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "model.bin").is_file():
            raise StartupError(f"the directory given as MODEL has no model.bin; {ADVICE}")
        return path
    if "/" not in name and name not in HUB:
        raise StartupError(f"there is no model called {name!r}; known are {', '.join(names())}, or {ADVICE}")
    return pull(name, directory, is_offline=is_offline, on_progress=on_progress)


ADVICE = "give MODEL a directory with a CTranslate2 model, or MODEL=spoken-digits, which needs no download."


def pull(
    name: str, directory: str | None = None, *, is_offline: bool = False, on_progress: Progress | None = None
) -> Path:
    """Fetch a model from the Hub, or find it where an earlier pull left it; raises StartupError."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415  half a second that embedded models need not pay
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    fetch: dict[str, Any] = {"repo_id": HUB.get(name, name), "cache_dir": directory, "allow_patterns": list(FILES)}
    try:
        return Path(snapshot_download(**fetch, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError) as error:
        if is_offline or os.environ.get("HF_HUB_OFFLINE") == "1":
            raise StartupError(
                f"model {name!r} is not on this machine and OFFLINE forbids fetching it; {ADVICE}"
            ) from error
    try:
        return Path(snapshot_download(**fetch))
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        raise StartupError(f"model {name!r} could not be fetched ({type(error).__name__}); {ADVICE}") from error
