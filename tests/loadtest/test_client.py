"""One call and its manners, against a real server."""

import json
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from gevent.event import Event
from gevent.pywsgi import WSGIServer

from loadtest.client import Client, Manners
from loadtest.clips import Clip
from loadtest.outcome import Ending, Outcome

CLIP = Clip("a.wav", "short", 4.0, "one two", b"RIFF and so on")
OK = ("200 OK", {"X-Fleet-Queue-Ms": "12", "X-Fleet-Worker": "w1"}, b'{"text": "one two"}')


def busy(**headers: str) -> tuple[str, dict[str, str], bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return "503 Service Unavailable", named, json.dumps({"error": {"code": "overloaded"}}).encode()


class Script:
    """Gives the scripted answers, one a request, the last for ever; keeps what it was sent."""

    def __init__(self, *answers: tuple[str, dict[str, str], bytes]) -> None:
        self.answers, self.seen = list(answers), list[tuple[str, bytes]]()

    def __call__(self, environ: dict[str, Any], start: Callable[..., None]) -> list[bytes]:
        self.seen.append((environ["PATH_INFO"], environ["wsgi.input"].read()))
        status, headers, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        start(status, list(headers.items()))
        return [body]


@pytest.fixture
def call() -> Iterator[Callable[..., Outcome]]:
    """`call(script, manners)`: how one call ends."""
    closing: list[Any] = []

    def made(script: Script, manners: Manners = Manners.NONE, *, over: Event | None = None, base: str = "") -> Outcome:
        server = WSGIServer(("127.0.0.1", 0), script, log=None)
        server.start()
        url = f"http://127.0.0.1:{server.server_port}{base}"
        client = Client(url, key="k", model="whisper-1", timeout_s=5, concurrency=2)
        closing.extend([client.close, lambda: server.stop(timeout=0.1)])
        return client.call(
            CLIP,
            manners,
            phase="soak",
            due_s=time.monotonic(),
            clock=time.monotonic,
            over=over or Event(),
            rng=Random(1),
        )

    yield made
    for close in closing:
        close()


def test_an_answer_brings_its_words_and_what_the_fleet_tells(call: Callable[..., Outcome]) -> None:
    """
    The form is OpenAI's; the headers are read where they are there.
    """
    script = Script(OK)
    outcome = call(script)

    assert (outcome.ending, outcome.heard, outcome.queue_ms, outcome.worker) == (Ending.OK, "one two", 12, "w1")
    path, body = script.seen[0]
    assert path == "/v1/audio/transcriptions"
    assert CLIP.wav in body and b'name="model"\r\n\r\nwhisper-1' in body


@pytest.mark.parametrize("base", ["/", "/v1", "/v1/"])
def test_a_base_url_may_end_as_clients_are_given_it(call: Callable[..., Outcome], base: str) -> None:
    """
    With or without /v1.
    """
    script = Script(OK)
    call(script, base=base)

    assert script.seen[0][0] == "/v1/audio/transcriptions"


def test_a_patient_client_comes_back_when_it_was_told_to(call: Callable[..., Outcome]) -> None:
    """
    Twice refused, each time for 300 ms: one call, answered after 600 ms.
    """
    outcome = call(Script(busy(retry_after_ms="300"), busy(retry_after_ms="300"), OK), Manners.PATIENT)

    assert (outcome.ending, outcome.refusals, outcome.tries) == (Ending.OK, 2, 3)
    assert outcome.latency_s >= 0.6


def test_a_hasty_client_does_not_read_retry_after(call: Callable[..., Outcome]) -> None:
    """
    Told to come back in a minute, it is back within half a second.
    """
    outcome = call(Script(busy(Retry_After="60"), OK), Manners.HASTY)

    assert outcome.ending is Ending.OK
    assert outcome.latency_s < 5


def test_a_client_without_patience_is_shed_at_once(call: Callable[..., Outcome]) -> None:
    """
    One try, and the code of the refusal.
    """
    outcome = call(Script(busy(Retry_After="1")))

    assert (outcome.ending, outcome.why, outcome.tries, outcome.refusals) == (Ending.SHED, "503 overloaded", 1, 1)


def test_who_waits_to_try_again_is_shed_when_the_run_is_over(call: Callable[..., Outcome]) -> None:
    """
    Nobody waits out a Retry-After after the last phase.
    """
    over = Event()
    over.set()
    outcome = call(Script(busy(Retry_After="4")), Manners.PATIENT, over=over)

    assert outcome.ending is Ending.SHED
    assert outcome.latency_s < 3


@pytest.mark.parametrize("body", [b"not json", b"[]", b'{"words": 1}'])
def test_a_good_status_without_text_is_an_error(call: Callable[..., Outcome], body: bytes) -> None:
    """
    200 alone is no answer.
    """
    outcome = call(Script(("200 OK", {}, body)))

    assert (outcome.ending, outcome.why) == (Ending.ERROR, "200 body not understood")


def test_nobody_there_is_an_error_with_a_name() -> None:
    """
    Not an exception that ends the load test.
    """
    client = Client("http://127.0.0.1:9", key="", model="m", timeout_s=5, concurrency=1)
    outcome = client.call(CLIP, Manners.NONE, phase="soak", due_s=0, clock=lambda: 0.0, over=Event(), rng=Random(1))

    assert (outcome.ending, outcome.why) == (Ending.ERROR, "ConnectionRefusedError")
