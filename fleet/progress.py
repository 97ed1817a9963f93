"""
How far a long clip is, for who asked for `progress`: events with the share that is done, then the whole answer in one.

Workers send them (worker/stream.py), the router's jobs read them (router/deferred/listener.py).
"""

from __future__ import annotations

from fleet.fields import TranscriptionRequest
from fleet.render import render, sent_event
from fleet.wire import Transcript

PROGRESS, WHOLE = "transcript.progress", "transcript.whole"


def progress_event(transcript: Transcript) -> bytes:
    """How much of the clip is transcribed, 0 to 1."""
    end_s = transcript.segments[-1].end if transcript.segments else 0.0
    return sent_event({"type": PROGRESS, "progress": round(min(1.0, end_s / max(transcript.duration_s, 0.01)), 3)})


def whole_event(transcript: Transcript, request: TranscriptionRequest) -> bytes:
    """The answer in the format that was asked for, as one event."""
    body, content_type = render(transcript, request)
    return sent_event({"type": WHOLE, "content_type": content_type, "body": body.decode()})
