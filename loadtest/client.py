"""
One call as a client makes it: send the clip, and after a refusal do what this client's manners say.

Runs in Locust's process, on gevent.
"""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any

from gevent.event import Event
from geventhttpclient import HTTPClient

from fleet import wire
from loadtest.clips import Clip
from loadtest.outcome import Ending, Outcome

Clock = Callable[[], float]  # seconds since the run began

TRIES_MOST = 4
HASTY_PAUSE_S = (0.1, 0.5)  # what a client that reads no Retry-After does
UNSAID_PAUSE_S = 1.0  # a refusal without Retry-After
REFUSALS = frozenset([429, 503])


class Manners(StrEnum):
    """What a client does when it is refused."""

    PATIENT = "patient"  # comes back when Retry-After says
    HASTY = "hasty"  # comes back when it likes
    NONE = "none"  # does not come back


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back of one try; status 0 and a reason where nothing usable did."""

    status: int
    reason: str
    headers: Any
    text: str = ""


class Client:
    """Makes calls; as many at once as `concurrency`, over kept connections. Silence of `timeout_s` is a failure."""

    def __init__(self, url: str, *, key: str, model: str, timeout_s: float, concurrency: int) -> None:
        self._http = HTTPClient.from_url(
            url, concurrency=concurrency, network_timeout=timeout_s, connection_timeout=min(10.0, timeout_s)
        )
        base = "/" + url.partition("://")[2].partition("/")[2].strip("/")
        self._path = f"{base.rstrip('/').removesuffix('/v1')}/v1/audio/transcriptions"
        self._boundary = uuid.uuid4().hex
        self._headers = {"Content-Type": f"multipart/form-data; boundary={self._boundary}"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._model, self._timeout_s = model, timeout_s
        self._bodies: dict[str, bytes] = {}  # built once a clip

    def call(
        self, clip: Clip, manners: Manners, *, phase: str, due_s: float, clock: Clock, over: Event, rng: Random
    ) -> Outcome:
        """Try until it is answered, fails, is refused for good, or `over` is set."""
        sent_s, refusals = clock(), 0
        while True:
            answer = self._post(clip)
            is_refused = answer.status in REFUSALS
            refusals += is_refused
            if not is_refused or manners is Manners.NONE or refusals >= TRIES_MOST:
                break
            pause_s = rng.uniform(*HASTY_PAUSE_S) if manners is Manners.HASTY else _retry_after_s(answer)
            if clock() + pause_s > due_s + self._timeout_s or over.wait(pause_s):
                break
        return _outcome(
            clip,
            answer,
            phase=phase,
            manners=manners,
            due_s=due_s,
            sent_s=sent_s,
            ended_s=clock(),
            refusals=refusals,
        )

    def close(self) -> None:
        """Close the kept connections."""
        self._http.close()

    def _post(self, clip: Clip) -> Answer:
        try:
            with self._http.request("POST", self._path, self._body(clip), self._headers) as response:
                return _answer(response.status_code, response, bytes(response.read()))
        except TimeoutError:
            return Answer(0, "timeout", {})
        except Exception as error:  # the edge to the network: whatever fails there is an outcome
            return Answer(0, type(error).__name__, {})

    def _body(self, clip: Clip) -> bytes:
        body = self._bodies.get(clip.name)
        if body is None:
            head = (
                f'--{self._boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{self._model}\r\n'
                f'--{self._boundary}\r\nContent-Disposition: form-data; name="file"; filename="clip.wav"\r\n'
                "Content-Type: audio/wav\r\n\r\n"
            )
            body = self._bodies[clip.name] = b"%s%s\r\n--%s--\r\n" % (
                head.encode(),
                clip.wav,
                self._boundary.encode(),
            )
        return body


def _answer(status: int, headers: Any, body: bytes) -> Answer:
    """Read it as OpenAI's: `text` of a good one, `error.code` of a bad one."""
    try:
        document = json.loads(body)
        if status == 200:
            return Answer(status, "", headers, str(document["text"]))
        error = document["error"]
        return Answer(status, f"{status} {error.get('code') or error.get('type') or ''}".strip(), headers)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Answer(status if status != 200 else 0, f"{status} body not understood", headers)


def _outcome(
    clip: Clip,
    answer: Answer,
    *,
    phase: str,
    manners: Manners,
    due_s: float,
    sent_s: float,
    ended_s: float,
    refusals: int,
) -> Outcome:
    is_ok, is_refused = answer.status == 200, answer.status in REFUSALS
    queue_ms = answer.headers.get(wire.QUEUE_MS)
    return Outcome(
        phase=phase,
        kind=clip.kind,
        clip=clip.name,
        audio_s=clip.audio_s,
        manners=manners,
        due_s=due_s,
        sent_s=sent_s,
        ended_s=ended_s,
        ending=Ending.OK if is_ok else Ending.SHED if is_refused else Ending.ERROR,
        why=answer.reason,
        tries=refusals + (not is_refused),
        refusals=refusals,
        queue_ms=float(queue_ms) if queue_ms else None,
        worker=answer.headers.get(wire.WORKER) or "",
        is_cached=answer.headers.get(wire.CACHE) == "hit",
        heard=answer.text,
    )


def _retry_after_s(answer: Answer) -> float:
    """The milliseconds, else the seconds, else a guess."""
    try:
        if given := answer.headers.get("retry-after-ms"):
            return float(given) / 1000
        return float(answer.headers.get("Retry-After") or UNSAID_PAUSE_S)
    except ValueError:  # a date
        return UNSAID_PAUSE_S
