"""Names under which callers ask for a model, and what the model list says."""

from collections.abc import Iterable
from typing import Any

from fleet.errors import NotFound

ALIASES = frozenset(
    [
        *("whisper-1", "default", "gpt-transcribe", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"),
        *("gpt-live-transcribe", "gpt-realtime-whisper", "Systran/faster-whisper"),
    ]
)
"""What hosted services call their models, and what clients send when they do not care: whatever is loaded."""


def resolve(name: str | None, loaded: Iterable[str], *, accepts_any: bool = False) -> str | None:
    """
    The loaded model that a request means; None is "whichever".

    A Hub id matches by its last part too: `Systran/faster-whisper-tiny` is `tiny`. Raises NotFound
    (`model_not_found`), without repeating the name, for a model that is not loaded.
    """
    if name is None or name in ALIASES or accepts_any:
        return None
    wanted = short(name)
    for model in loaded:
        if name == model or wanted == short(model):
            return model
    raise NotFound("The model is not loaded here; GET /v1/models lists what is.", code="model_not_found", param="model")


def short(name: str) -> str:
    """The last part of a Hub id or path, without the usual prefix."""
    return name.rstrip("/").rpartition("/")[2].removeprefix("faster-whisper-")


def listed(names: Iterable[str]) -> dict[str, Any]:
    """OpenAI's model list: what is loaded, and the alias."""
    return {"object": "list", "data": [described(name) for name in dict.fromkeys([*names, "whisper-1"])]}


def described(name: str) -> dict[str, Any]:
    """OpenAI's model object."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "whisper-fleet"}
