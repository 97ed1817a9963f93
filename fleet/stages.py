"""
How long each stage of a request took, and how an answer says it: a `Server-Timing` header (core).

The worker writes its stages, the router reads them, adds its own wait to `queue` and puts its own total in. Browsers
show the header in their network panel; access lines and metrics show the same numbers under the same names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SERVER_TIMING = "Server-Timing"
ENTRY = re.compile(r"(\w+);dur=(\d{1,12}(?:\.\d{1,6})?)", re.ASCII)
ENTRIES_MAX = 16  # we write six


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """
    Seconds. `engine` is from samples to the last segment, other requests' turns at the model included; `encode` and
    `generate` are this request's share of the model calls that it was in, so that they add up over requests to what
    the model did. What was not reached, or not told, is 0.
    """

    queue_s: float = 0.0
    decode_s: float = 0.0
    encode_s: float = 0.0
    generate_s: float = 0.0
    engine_s: float = 0.0
    total_s: float = 0.0

    def to_header(self) -> str:
        """`queue;dur=0.4, decode;dur=2.1, ...` in milliseconds; queue and total always, others where there were any."""
        entries = [f"queue;dur={1000 * self.queue_s:.1f}"]
        for name, seconds in (
            ("decode", self.decode_s),
            ("encode", self.encode_s),
            ("generate", self.generate_s),
            ("engine", self.engine_s),
        ):
            if seconds:
                entries.append(f"{name};dur={1000 * seconds:.1f}")
        entries.append(f"total;dur={1000 * self.total_s:.1f}")
        return ", ".join(entries)

    @classmethod
    def from_header(cls, text: str) -> Stages:
        """What a header of ours says; what it does not say, or another server means by it, is 0."""
        told = {name: float(ms) / 1000 for name, ms in ENTRY.findall(text, 0, 1024)[:ENTRIES_MAX]}
        return cls(**{f"{name}_s": told[name] for name in NAMES if name in told})

    def for_log(self) -> dict[str, float]:
        """The access line's fields, in milliseconds; `total` is the line's own `took_ms`."""
        return {
            "queue_ms": round(1000 * self.queue_s, 1),
            "decode_ms": round(1000 * self.decode_s, 1),
            "encode_ms": round(1000 * self.encode_s, 1),
            "generate_ms": round(1000 * self.generate_s, 1),
            "engine_ms": round(1000 * self.engine_s, 1),
        }


NAMES = ("queue", "decode", "encode", "generate", "engine", "total")
