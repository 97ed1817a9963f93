"""The recorded clips and their words: what an answer must say, whatever happens meanwhile."""

import json
from dataclasses import dataclass
from pathlib import Path

import aiohttp

SAMPLES = Path(__file__).parents[2] / "samples"


@dataclass(frozen=True, slots=True)
class Clip:
    """A file of `samples/`, and what is said in it."""

    name: str
    wav: bytes
    text: str
    duration_s: float


def recorded(longest_s: float = 1000) -> list[Clip]:
    """Every clip that is no longer than this."""
    entries = json.loads((SAMPLES / "texts.json").read_text())
    return [
        Clip(entry["file"], (SAMPLES / entry["file"]).read_bytes(), entry["text"], entry["duration_s"])
        for entry in entries
        if (SAMPLES / entry["file"]).exists() and entry["duration_s"] <= longest_s
    ]


def form_of(wav: bytes, **fields: str) -> aiohttp.FormData:
    """A clip as the form of a request."""
    form = aiohttp.FormData()
    for name, value in fields.items():
        form.add_field(name, value)
    form.add_field("file", wav, filename="clip.wav", content_type="audio/wav")
    return form
