"""What happens to workers: the last of it for the status page, and each as a log line for who reads that alone."""

import logging
from collections import deque
from collections.abc import Callable

from router.upstream import Worker

EVENTS_KEPT = 100

# in the words of the status page, where the event's own name says too little
WORDS = {"refused": "worker is down: nobody listens there", "silent": "worker does not answer probes"}
TROUBLE = ("ejected", "silent", "broken")

logger = logging.getLogger(__name__)

OnEvent = Callable[[Worker, str, str], None]  # what happened to whom, and a detail


class EventLog:
    """Remembers the last events, and tells a listener each."""

    def __init__(self, on_event: OnEvent = lambda worker, event, detail: None) -> None:
        self.kept: deque[tuple[float, str, str, str]] = deque(maxlen=EVENTS_KEPT)  # when, worker, event, detail
        self._on_event = on_event

    def note(self, now: float, worker: Worker, event: str, detail: str) -> None:
        """This happened."""
        self.kept.append((now, worker.name, event, detail))
        self._on_event(worker, event, detail)


def log_event(worker: Worker, event: str, detail: str) -> None:
    """One line; a warning where the fleet has lost a worker, not where one has never been there yet."""
    is_loss = event in TROUBLE or (event == "refused" and bool(worker.boot))
    extra = {"worker": worker.name, "url": worker.url} | ({"detail": detail} if detail else {})
    logger.log(logging.WARNING if is_loss else logging.INFO, WORDS.get(event, f"worker {event}"), extra=extra)
