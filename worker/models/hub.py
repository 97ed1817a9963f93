"""Models from the Hugging Face Hub: found where an earlier pull left them, or fetched, with progress."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable
from http.client import responses
from pathlib import Path
from typing import Any

from fleet.serve import StartupError

FILES = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*", "card.json")
ADVICE = "give MODEL a directory with a CTranslate2 model, or MODEL=spoken-digits, which needs no download."
REASON_MAX = 120  # characters
CAUSES_MAX = 10  # of errors, one under the other

Progress = Callable[[int, int], None]  # (bytes so far, bytes in all)

logger = logging.getLogger(__name__)


def pull(
    name: str, repository: str, cache: str | None, *, is_offline: bool = False, on_progress: Progress | None = None
) -> Path:
    """The directory of a model; `name` is what the operator called it. Raises StartupError."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415  half a second that embedded models need not pay

    def fetch(**more: Any) -> Path:
        return Path(snapshot_download(repository, cache_dir=cache, allow_patterns=list(FILES), **more))

    try:
        return fetch(local_files_only=True)
    except Exception as error:  # the edge of a library with a zoo of errors; all of them mean "not here"
        if is_offline or os.environ.get("HF_HUB_OFFLINE") in ("1", "true"):
            message = f"model {name!r} is not on this machine and OFFLINE forbids fetching it; {ADVICE}"
            raise StartupError(message) from error
    try:
        return fetch(tqdm_class=_reporting(on_progress or _log_tenths(name)))
    except Exception as error:  # no network, no such repository, no right to it, no space: no model
        raise StartupError(f"model {name!r} could not be fetched from the Hub ({_reason(error)}); {ADVICE}") from error


def is_here(repository: str, cache: str | None) -> bool:
    """Whether an earlier pull left its weights."""
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415  as above

    return isinstance(try_to_load_from_cache(repository, "model.bin", cache_dir=cache), str)


def _reason(error: BaseException) -> str:
    """What the Hub or the system said at the bottom of it; never the library's text, which has addresses in it."""
    chain = [error]
    while len(chain) < CAUSES_MAX and (below := chain[-1].__cause__ or chain[-1].__context__):
        chain.append(below)
    for each in chain:
        status = getattr(getattr(each, "response", None), "status_code", None)
        if isinstance(status, int):
            return f"HTTP {status} {responses.get(status, '')}".rstrip()
    said = next((each.strerror for each in reversed(chain) if isinstance(each, OSError) and each.strerror), None)
    return str(said)[:REASON_MAX] if said else type(chain[-1]).__name__


def _reporting(on_progress: Progress) -> type[Any]:
    """The Hub's client takes a class of progress bars; this one draws nothing and tells the byte counts."""
    from tqdm.auto import tqdm  # noqa: PLC0415

    class Reporting(tqdm):  # type: ignore[misc]  # untyped
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **(options | {"file": io.StringIO()}))

        def update(self, n: float | None = 1) -> bool | None:
            drawn: bool | None = super().update(n)
            if self.unit == "B":
                on_progress(int(self.n), int(self.total or 0))
            return drawn

    return Reporting


def _log_tenths(name: str) -> Progress:
    """A log line for every tenth, for whoever waits for a container to start."""
    told = -1

    def progress(done: int, total: int) -> None:
        nonlocal told
        tenth = done * 10 // total if total else 0
        if tenth > told:
            told = tenth
            logger.info("fetching model", extra={"model": name, "percent": tenth * 10, "mb": round(total / 1e6)})

    return progress
