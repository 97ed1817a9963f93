"""Libraries that tell their makers what they are used for are told not to, before they are loaded."""

from __future__ import annotations

from collections.abc import MutableMapping

OFF = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime (1.31): an id in ~/.cache/Microsoft, and events over HTTPS
    "HF_HUB_DISABLE_TELEMETRY": "1",  # the Hub's client: what asks, beside what is asked for
}


def turn_off(environ: MutableMapping[str, str]) -> None:
    """For this process and those that it starts; who has said otherwise is not overruled."""
    for name, value in OFF.items():
        environ.setdefault(name, value)
