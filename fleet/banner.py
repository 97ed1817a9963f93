"""What `up` says: one line a service, the sample's text, where to go, and what happens later. Plain off a terminal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status
from rich.text import Text

from fleet.child import ChildSpec
from fleet.plan import FleetPlan
from fleet.supervise import Event, Happening, ended

STYLES = {"router": "magenta", "worker": "cyan"}


class Banner:
    """The listener of the supervisor; writes for people to stdout and passes the services' own lines to stderr."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._fleet: FleetPlan | None = None
        self._spinner: Status | None = None
        self._began = time.monotonic()

    @contextmanager
    def starting(self, fleet: FleetPlan) -> Iterator[None]:
        """While this lasts, a spinner turns on a terminal."""
        self._fleet = fleet
        count = len(fleet.workers)
        text = f"Starting a router and {count} worker{'s' * (count != 1)} with {fleet.model}"
        if not self._console.is_terminal:
            self._console.print(f"{text} ...")
        with self._console.status(f"{text} ...") as self._spinner:
            yield
        self._spinner = None

    def ready(self, fleet: FleetPlan, text: str, took_s: float, wyoming_port: int | None = None) -> None:
        """The whole fleet works: the proof, and the addresses."""
        console = self._console
        console.print(f'sample    "{text}"  ({took_s * 1000:.0f} ms through the router)', markup=False)
        console.print(f"\nReady in {time.monotonic() - self._began:.1f} s. Open or call:", style="bold")
        for what, path in (
            ("try it", "/"),
            ("status", "/lb-status"),
            ("API", f"/v1  (OpenAI's; {fleet.callers_key})"),
            ("metrics", "/metrics"),
        ):
            console.print(f"  {what:<9}{fleet.url}{path}", markup=False)
        if wyoming_port is not None:
            host = fleet.url.removeprefix("http://").rpartition(":")[0]
            console.print(f"  Wyoming  tcp://{host}:{wyoming_port}  (Home Assistant)", markup=False)
        if fleet.hears_digits_only:
            console.print(
                "\nNote: the embedded model hears spoken English digits, nothing else. For a general model: "
                "MODEL=base make run (or: whisper-fleet up --model base)",
                style="yellow",
            )
        if fleet.forgets_jobs:
            console.print(
                "\nNote: on any free port, jobs and their results go when this ends; JOBS=sqlite:///PATH keeps them."
            )
        console.print("\nCtrl-C drains and stops; a second one stops at once.", style="dim")

    def on_event(self, event: Event) -> None:
        """A service became ready, or ended."""
        if event.happening is Happening.READY:
            again = f", start {event.starts}" if event.starts > 1 else ""
            self._line(event.name, f"{self._about(event.name)}  ready in {event.took_s:.1f} s{again}")
        else:
            self._line(event.name, f"{ended(event.code)}; starting it again in {event.pause_s:g} s", "yellow")

    def on_line(self, name: str, line: str) -> None:
        """A service's own log line. JSON goes on untouched, for the program that reads it."""
        if self._spinner is not None and line.startswith("error: "):
            return  # it ends the start, and is said once, as the reason
        _, is_info, said = line.partition(" info ")
        if self._spinner is not None and self._console.is_terminal and is_info:
            self._spinner.update(Text(f"{name}: {said.partition(': ')[2]} ..."))  # what a long start is busy with
            return
        print(line if line.startswith("{") else f"{name:<10}{line}", file=sys.stderr, flush=True)

    def draining(self) -> None:
        """The first signal came."""
        self._console.print("\nDraining: the router finishes what it has, then the workers. Again to stop at once.")

    def stopped(self) -> None:
        """Everything is gone."""
        self._console.print("Stopped.")

    def error(self, message: str) -> None:
        """The one sentence about why it cannot go on."""
        print(f"error: {message}", file=sys.stderr, flush=True)

    def _about(self, name: str) -> str:
        spec = self._spec(name)
        if spec is None or self._fleet is None:
            return ""
        url = spec.ready_url.removesuffix("/readyz")
        if name == "router":
            return url
        threads = f"{self._fleet.threads} thread{'s' * (self._fleet.threads != 1)}"
        cores = ",".join(map(str, spec.cores))
        where = f" on core{'s' * (len(spec.cores) > 1)} {cores}" if cores else ""
        return f"{url}  {self._fleet.model}  {threads}{where}"

    def _spec(self, name: str) -> ChildSpec | None:
        children = (self._fleet.router, *self._fleet.workers) if self._fleet else ()
        return next((spec for spec in children if spec.name == name), None)

    def _line(self, name: str, text: str, style: str = "") -> None:
        label = Text(f"{name:<10}", style=STYLES.get(name.partition("-")[0], ""))
        self._console.print(label + Text(text, style=style))
