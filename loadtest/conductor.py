"""
Walks through the phases of a scenario. Runs in Locust's process, on gevent.

Closed phases end with the clock, open ones when all their calls were sent (and answered, where the phase settles).
Calls still unanswered at the very end are written down as such: a server that never answers is not left out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import gevent
from gevent.event import Event
from gevent.pool import Group

from loadtest.arrivals import poisson
from loadtest.client import Client, Manners
from loadtest.clips import Clip
from loadtest.outcome import Ending, Outcome, PhaseSpan
from loadtest.recorder import Recorder
from loadtest.scenarios import Phase

IN_FLIGHT_MOST = 2000  # calls at once in an open loop; past it a call is an error, and the generator is to blame
RAMP_S = 1.0  # of a closed loop: until every client has sent its first call


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call in flight, as far as it is known before it ended."""

    clip: Clip
    manners: Manners
    phase: str
    due_s: float
    over: Event  # set when there is no use in trying again


class Conductor:
    """State: the phase that runs now, the capacity measured so far, and the calls in flight."""

    def __init__(
        self,
        phases: list[Phase],
        *,
        client: Client,
        recorder: Recorder,
        deal: Callable[[Random], Iterator[Clip]],
        manners: tuple[Manners, ...],
        capacity_per_s: float,
        drain_s: float,
        seed: int,
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        self.capacity_per_s = capacity_per_s
        self._is_capacity_given = capacity_per_s > 0
        self._phases, self._client, self._recorder, self._deal = phases, client, recorder, deal
        self._manners, self._drain_s, self._on_outcome, self._seed = manners, drain_s, on_outcome, seed
        self._index, self._began_s = -1, 0.0
        self._answered = 0
        self._phase_over, self._run_over = Event(), Event()
        self._in_flight: dict[gevent.Greenlet, Call] = {}
        self._group = Group()
        self._enter_next()

    def __repr__(self) -> str:
        phase = self.phase
        return f"<Conductor {phase.name if phase else 'done'}, {len(self._in_flight)} in flight>"

    @property
    def phase(self) -> Phase | None:
        """What runs now; None when all is done."""
        return self._phases[self._index] if self._index < len(self._phases) else None

    def tick(self) -> Phase | None:
        """What runs now, after a closed phase whose time is up was ended."""
        phase = self.phase
        if phase is not None and phase.clients and self._now_s() - self._began_s >= phase.length_s:
            self._end(phase, 0.0)
        return self.phase

    def call_once(self) -> None:
        """One call of one caller in a closed loop, due now."""
        phase = self.phase
        if phase is None or not phase.clients:
            gevent.sleep(0.05)
            return
        call = self._planned(phase, self._now_s())
        try:
            outcome = self._made(call)
        except gevent.GreenletExit:  # Locust stops its users, and this one still waits for its answer
            self._write(_unanswered(call, self._now_s(), "unanswered"), call.clip)
            raise
        if phase is self.phase and outcome.ending is Ending.OK and outcome.ended_s - self._began_s >= RAMP_S:
            self._answered += 1
        if outcome.ending is not Ending.OK:
            gevent.sleep(0.05)  # a dead server is not to be asked a thousand times a second

    def play_open(self) -> None:
        """Send all calls of an open phase when they are due, then go on to the next phase."""
        phase = self.phase
        if phase is None or phase.clients:
            gevent.sleep(0.05)
            return
        rate_per_s = phase.load * self.capacity_per_s
        began_s = self._began_s = self._now_s()
        for after_s in poisson(rate_per_s, phase.length_s, self._random("arrivals")):
            call = self._planned(phase, began_s + after_s)
            gevent.sleep(max(0.0, call.due_s - self._now_s()))
            self._send(call)
        gevent.sleep(max(0.0, began_s + phase.length_s - self._now_s()))
        self._end(phase, rate_per_s)
        if phase.settles:
            self._group.join(self._drain_s)

    def finish(self) -> None:
        """Wait for what is in flight as long as allowed, write down the rest as unanswered."""
        self._run_over.set()
        self._group.join(self._drain_s)
        for call in self._in_flight.copy().values():
            self._write(_unanswered(call, self._now_s(), "unanswered"), call.clip)
        self._in_flight.clear()
        self._group.kill(block=False)
        self._recorder.close()

    def _send(self, call: Call) -> None:
        if len(self._in_flight) >= IN_FLIGHT_MOST:
            self._write(_unanswered(call, self._now_s(), "not sent: too many calls in flight"), call.clip)
            return
        greenlet = gevent.Greenlet(self._made, call)
        self._in_flight[greenlet] = call
        greenlet.link(lambda ended: self._in_flight.pop(ended, None))
        self._group.start(greenlet)

    def _made(self, call: Call) -> Outcome:
        outcome = self._client.call(
            call.clip,
            call.manners,
            phase=call.phase,
            due_s=call.due_s,
            clock=self._now_s,
            over=call.over,
            rng=self._impulse,
        )
        return self._write(outcome, call.clip)

    def _write(self, outcome: Outcome, clip: Clip) -> Outcome:
        checked = self._recorder.add(outcome, clip)
        self._on_outcome(checked)
        return checked

    def _end(self, phase: Phase, rate_per_s: float) -> None:
        """Write the phase down; its callers that wait for a Retry-After need not any more."""
        end_s = self._now_s()
        begin_s = self._began_s + (RAMP_S if phase.clients else 0)
        if phase.sets_capacity and not self._is_capacity_given:
            self.capacity_per_s = self._answered / max(0.001, end_s - begin_s)
            if not self._answered:  # a wrong key, say: what follows would be shares of nothing
                self._phases = self._phases[: self._index + 1]
        self._recorder.phase_ended(
            PhaseSpan(
                phase=phase.name,
                begin_s=begin_s,
                end_s=end_s,
                clients=phase.clients,
                load=phase.load,
                rate_per_s=rate_per_s,
                capacity_per_s=self.capacity_per_s,
                is_measured=phase.is_measured,
            )
        )
        self._phase_over.set()
        self._enter_next()

    def _enter_next(self) -> None:
        """Every phase plans from chances of its own: what was answered before cannot change what is called now."""
        self._index += 1
        self._began_s, self._answered, self._phase_over = self._now_s(), 0, Event()
        self._clips = self._deal(self._random("clips"))
        self._chance, self._impulse = self._random("manners"), self._random("impulse")

    def _planned(self, phase: Phase, due_s: float) -> Call:
        return Call(
            clip=next(self._clips),
            manners=self._chance.choice(self._manners),
            phase=phase.name,
            due_s=due_s,
            over=self._phase_over if phase.clients else self._run_over,
        )

    def _random(self, what: str) -> Random:
        return Random(f"{self._seed} {self._index} {what}")  # noqa: S311  a plan, not a secret

    def _now_s(self) -> float:
        return self._recorder.now_s()


def _unanswered(call: Call, now_s: float, why: str) -> Outcome:
    return Outcome(
        phase=call.phase,
        kind=call.clip.kind,
        clip=call.clip.name,
        audio_s=call.clip.audio_s,
        manners=call.manners,
        due_s=call.due_s,
        sent_s=call.due_s,
        ended_s=now_s,
        ending=Ending.ERROR,
        why=why,
        tries=0,
    )
