"""What `up` says, off a terminal."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from fleet import settings
from fleet.banner import Banner
from fleet.plan import UpSettings, plan
from fleet.ports import Ports
from fleet.supervise import Event, Happening


@pytest.fixture
def said():
    """A banner and a function that gives what it said so far."""
    out = io.StringIO()
    return Banner(Console(file=out, highlight=False, soft_wrap=True)), out.getvalue


def fleet_of(*options, environ=None):
    """A plan of two workers."""
    return plan(settings.load(UpSettings, {}, options), Ports(8083, (9001, 9002)), environ or {}, (0, 1))


def test_story_of_a_start(said):
    """What starts, who is ready where with what, the proof, where to go, and how to stop; no escape codes."""
    banner, text = said
    fleet = fleet_of()
    with banner.starting(fleet):
        banner.on_event(Event(name="worker-1", happening=Happening.READY, took_s=1.26))
        banner.on_event(Event(name="router", happening=Happening.READY, took_s=1.4))
    banner.ready(fleet, "one two", 0.05)

    assert "Starting a router and 2 workers with spoken-digits" in text()
    assert "http://127.0.0.1:9001  spoken-digits  1 thread" in text()
    assert "ready in 1.3 s" in text()
    assert '"one two"  (50 ms through the router)' in text()
    assert "http://127.0.0.1:8083/lb-status" in text()
    assert "MODEL=base make run" in text()
    assert "Ctrl-C" in text()
    assert "\x1b" not in text()


def test_general_model_needs_no_note(said):
    """The note is about the embedded model only."""
    banner, text = said
    banner.ready(fleet_of("--model", "base"), "hello", 0.1)
    assert "digits" not in text()


def test_jobs_that_end_with_the_fleet_are_said_to(said):
    """On any free port, and only there."""
    banner, text = said
    banner.ready(fleet_of(), "hello", 0.1)
    assert "jobs" not in text()
    banner.ready(replace(fleet_of(), forgets_jobs=True), "hello", 0.1)
    assert "jobs and their results go when this ends" in text()


def test_key_is_asked_for_but_never_shown(said):
    """With a key configured the banner says so."""
    banner, text = said
    banner.ready(fleet_of(environ={"API_KEY": "s3cret"}), "hello", 0.1)
    assert "API_KEY" in text()
    assert "s3cret" not in text()


def test_restart_is_told(said):
    """Who ended, how, and when it comes back."""
    banner, text = said
    banner.on_event(Event(name="worker-2", happening=Happening.ENDED, code=137, pause_s=0.5))
    assert text() == "worker-2  was killed by SIGKILL; starting it again in 0.5 s\n"


def test_lines_of_services(said, capsys):
    """Text is labelled; JSON goes on untouched; markup in a line is just text."""
    banner, _ = said
    banner.on_line("worker-1", "[red]hello")
    banner.on_line("worker-1", '{"level": "info"}')
    assert capsys.readouterr().err == 'worker-1  [red]hello\n{"level": "info"}\n'


def test_reason_of_a_failed_start_is_said_once(said, capsys):
    """Each worker says it for itself; the banner says it as the reason, and only then."""
    banner, _ = said
    with banner.starting(fleet_of()):
        banner.on_line("worker-1", "error: no such model")
    banner.error("worker-1: no such model")
    banner.on_line("worker-1", "error: later")
    assert capsys.readouterr().err == "error: worker-1: no such model\nworker-1  error: later\n"
