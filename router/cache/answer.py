"""An answer as it is kept: status, the headers that belong to the audio, and the body."""

from __future__ import annotations

import json
from dataclasses import dataclass

from fleet import wire
from fleet.forms import PLAIN

# the others tell of one request alone
KEPT_HEADERS = ("Content-Type", wire.DURATION, wire.WARNINGS, wire.IGNORED, wire.WORKER)
FORM_VERSION = 1  # of what `packed` writes; an older or newer one is not read


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of a worker."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, status: int, headers: dict[str, str], body: bytes) -> Answer:
        """What of an answer may be said again."""
        return cls(status, {name: headers[name] for name in KEPT_HEADERS if name in headers}, body)

    @property
    def may_be_kept(self) -> bool:
        """A transcript of all of the audio: no error, and nothing that the decoder warned of."""
        return self.status == 200 and wire.WARNINGS not in self.headers

    @property
    def audio_s(self) -> float:
        """Seconds of audio behind it."""
        return float(self.headers.get(wire.DURATION, 0))

    def body_for(self, path: str) -> bytes:
        """The body to say again; the form of `/transcribe` has a field that says so."""
        if self.status != 200 or path.partition("?")[0] != PLAIN.path:
            return self.body
        return json.dumps(json.loads(self.body) | {"cached": True}).encode()

    def packed(self) -> bytes:
        """One string of bytes: a line of JSON, then the body."""
        head = {"v": FORM_VERSION, "headers": self.headers, "bytes": len(self.body)}
        return json.dumps(head).encode() + b"\n" + self.body

    @classmethod
    def unpacked(cls, kept: bytes) -> Answer:
        """Raises ValueError for anything that `packed` did not write, or not all of it."""
        head, _, body = kept.partition(b"\n")
        about = json.loads(head)
        if not isinstance(about, dict) or about.get("v") != FORM_VERSION or about.get("bytes") != len(body):
            raise ValueError("not a kept answer")
        headers = about.get("headers")
        if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
            raise ValueError("not a kept answer")
        answer = cls.of(200, headers, body)
        if not 0 <= answer.audio_s < float("inf"):
            raise ValueError("not a kept answer")
        return answer
