"""Frames of a session: the caller's -> events; ours -> dictionaries that become frames. Pure."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fleet.errors import BadRequest, FleetError

ID_LENGTH_MAX = 512


class Kind(StrEnum):
    """What a caller may send."""

    UPDATE = "session.update"
    BETA_UPDATE = "transcription_session.update"
    APPEND = "input_audio_buffer.append"
    COMMIT = "input_audio_buffer.commit"
    CLEAR = "input_audio_buffer.clear"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientEvent:
    """One thing that the caller said."""

    kind: Kind
    event_id: str | None = None
    audio: bytes = b""
    session: Mapping[str, Any] = field(default_factory=dict)


class BadEvent(Exception):
    """A frame that cannot be used; the session goes on. `event_id` is the caller's own, if it could be read."""

    def __init__(self, error: BadRequest, event_id: str | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.event_id = event_id


def parse(frame: str) -> ClientEvent:
    """Read a frame; raises BadEvent."""
    try:
        event = json.loads(frame)
    except (ValueError, RecursionError) as error:
        raise BadEvent(BadRequest("The message is not JSON.")) from error
    if not isinstance(event, dict):
        raise BadEvent(BadRequest("The message is not a JSON object."))
    event_id = event.get("event_id")
    if not isinstance(event_id, str) or len(event_id) > ID_LENGTH_MAX:
        event_id = None
    try:
        return _parse(event, event_id)
    except BadRequest as error:
        raise BadEvent(error, event_id) from error


def _parse(event: dict[str, Any], event_id: str | None) -> ClientEvent:
    try:
        kind = Kind(str(event.get("type")))
    except ValueError as error:
        message = f"'type' must be one of {', '.join(Kind)}: a session here transcribes, and nothing else."
        raise BadRequest(message, param="type") from error
    if kind is Kind.APPEND:
        return ClientEvent(kind=kind, event_id=event_id, audio=_audio(event.get("audio")))
    if kind in (Kind.UPDATE, Kind.BETA_UPDATE):
        session = event.get("session")
        if not isinstance(session, dict):
            raise BadRequest("'session' must be an object.", param="session")
        return ClientEvent(kind=kind, event_id=event_id, session=session)
    return ClientEvent(kind=kind, event_id=event_id)


def _audio(value: Any) -> bytes:
    if not isinstance(value, str):
        raise BadRequest("'audio' must be a base64 string.", param="audio")
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest("'audio' is not base64.", param="audio") from error


def error(problem: FleetError, event_id: str | None = None) -> dict[str, Any]:
    """Something did not work; the session goes on."""
    return {"type": "error", "error": {**problem.to_json()["error"], "event_id": event_id}}


def speech_started(item_id: str, start_ms: int) -> dict[str, Any]:
    """A turn has begun. Times are counted from the session's first sample."""
    return {"type": "input_audio_buffer.speech_started", "audio_start_ms": start_ms, "item_id": item_id}


def speech_stopped(item_id: str, end_ms: int) -> dict[str, Any]:
    """It has ended, silence included."""
    return {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": end_ms, "item_id": item_id}


def committed(item_id: str, previous: str | None, *, is_beta: bool) -> list[dict[str, Any]]:
    """Its audio is complete and is an item of the conversation now."""
    place = {"previous_item_id": previous}
    item = {
        "id": item_id,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }
    kinds = ["conversation.item.created"] if is_beta else ["conversation.item.added", "conversation.item.done"]
    first = {"type": "input_audio_buffer.committed", "item_id": item_id, **place}
    return [first, *({"type": kind, "item": item, **place} for kind in kinds)]


def cleared() -> dict[str, Any]:
    """What was not committed is forgotten."""
    return {"type": "input_audio_buffer.cleared"}


def delta(item_id: str, text: str) -> dict[str, Any]:
    """More text of an item; what was said before stays."""
    return _transcription("delta", item_id, delta=text)


def completed(item_id: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The whole text, from the answer of a request."""
    more = {name: answer[name] for name in ("usage", "logprobs") if name in answer}
    return _transcription("completed", item_id, transcript=answer["text"], **more)


def failed(item_id: str, problem: FleetError) -> dict[str, Any]:
    """There will be no text."""
    return _transcription("failed", item_id, error=problem.to_json()["error"])


def _transcription(kind: str, item_id: str, **more: Any) -> dict[str, Any]:
    kind = f"conversation.item.input_audio_transcription.{kind}"
    return {"type": kind, "item_id": item_id, "content_index": 0, **more}
