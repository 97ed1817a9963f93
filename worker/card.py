"""
A model's card: how it was trained to be run, where that differs from the general defaults.

`card.json` may stand in any model directory beside `model.bin`. A setting overrides it, a request's field overrides
both. Without a card a model is a general Whisper.
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fleet.serve import StartupError

CARD_FILE = "card.json"
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # Whisper's own ladder of fallbacks


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """The ways of one model; the defaults are those of a general Whisper."""

    description: str = ""
    beam_size: int = 5
    temperatures: tuple[float, ...] = TEMPERATURES
    log_prob_threshold: float = -1.0  # a mean below it is a failure, and silence where the next one says so too
    no_speech_threshold: float = 0.6  # -1: whatever is improbable is silence
    vad_threshold: float = 0.5
    min_speech_ms: int = 250
    max_speech_s: float = 30.0
    min_silence_ms: int = 500
    speech_pad_ms: int = 400
    merge_regions: bool = True  # pack speech regions into windows of up to 30 s; false: a window for each
    without_timestamps: bool = False  # segments take their times from voice activity
    audio_context: str = "full"  # "auto": the model was trained on windows shorter than 30 s
    audio_context_step_frames: int = 50  # auto rounds up to this, so that windows can share a call


def read_card(directory: Path) -> ModelCard:
    """The card beside the model, or the general one; raises StartupError for a card that cannot be read."""
    path = directory / CARD_FILE
    if not path.is_file():
        return ModelCard()
    kinds = {field.name: field.type for field in fields(ModelCard)}
    try:
        values = {name: value for name, value in json.loads(path.read_text()).items() if name in kinds}
        if "temperatures" in values:
            values["temperatures"] = tuple(float(one) for one in values["temperatures"])
        return ModelCard(**{name: _value(name, kinds[name], value) for name, value in values.items()})
    except (ValueError, TypeError, AttributeError) as error:
        raise StartupError(f"the card of this model ({CARD_FILE}) cannot be read: {error}") from error


def _value(name: str, kind: object, value: Any) -> Any:
    """The value as the field's kind; raises TypeError, ValueError."""
    if name == "temperatures":
        if not value:
            raise ValueError("temperatures must not be empty")
        return value
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError(f"{name} must not be {value!r}")
    return value
