"""
The scenarios: phases one after the other, each a closed loop of so many clients or an open one at a share of capacity.

Capacity is measured, not assumed: a closed loop that keeps every slot busy, right before, with the same clips (pure).
"""

from collections.abc import Callable
from dataclasses import dataclass

WARM_S = 3.0  # at most
SINGLE_LOADS = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1)
SCALING_LOADS = (0.5, 0.7, 0.85, 0.95)
MIXED_LOAD = 0.85
OVERLOAD = 3.0
SOAK_LOAD = 0.6
SATURATE, LADDER = "saturate", "load "  # names that figures are found by


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Exactly one of `clients` (closed loop) and `load` (open loop, a share of capacity) is above zero."""

    name: str
    length_s: float
    clients: int = 0
    load: float = 0.0
    is_measured: bool = True
    sets_capacity: bool = False
    settles: bool = True  # the next phase waits until no call is in flight


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How long a step lasts, how long a soak, and the clients that keep every slot busy."""

    step_s: float
    soak_s: float
    clients: int


def warm_up(scale: Scale) -> Phase:
    """Two clients; connections, caches and what the router learns of the workers are not measured."""
    return Phase(name="warm-up", length_s=min(WARM_S, scale.step_s), clients=2, is_measured=False)


def saturate(scale: Scale, steps: int = 1) -> Phase:
    """Every slot busy and a call waiting for each: what this fleet can do."""
    return Phase(name=SATURATE, length_s=steps * scale.step_s, clients=scale.clients, sets_capacity=True)


def at(load: float, length_s: float, *, name: str = "", settles: bool = True) -> Phase:
    """An open loop at a share of capacity; without a name of its own it is a step of the ladder."""
    return Phase(name=name or f"{LADDER}{load:.2f}", length_s=length_s, load=load, settles=settles)


def single(scale: Scale) -> list[Phase]:
    """Find the knee: latency over load, in steps, past capacity."""
    return [warm_up(scale), saturate(scale, 2), *(at(load, scale.step_s) for load in SINGLE_LOADS)]


def scaling(scale: Scale) -> list[Phase]:
    """What this many workers can do, and the latency on the way there."""
    return [warm_up(scale), saturate(scale, 2), *(at(load, scale.step_s) for load in SCALING_LOADS)]


def mixed(scale: Scale) -> list[Phase]:
    """Short beside long at a load that leaves little room for mistakes; three steps each, for long clips are rare."""
    return [warm_up(scale), saturate(scale, 3), at(MIXED_LOAD, 3 * scale.step_s, name="mixed")]


def overload(scale: Scale) -> list[Phase]:
    """Three times what it can do, then back: what is refused, what is still served, how soon it recovers."""
    return [
        warm_up(scale),
        saturate(scale),
        at(0.5, scale.step_s, name="before", settles=False),
        at(OVERLOAD, scale.step_s, name="overload", settles=False),
        at(0.5, 2 * scale.step_s, name="after"),
    ]


def soak(scale: Scale) -> list[Phase]:
    """A comfortable load for long: nothing may creep."""
    return [warm_up(scale), saturate(scale), at(SOAK_LOAD, scale.soak_s, name="soak")]


def everything(scale: Scale) -> list[Phase]:
    """One after the other; what warms up and saturates once need not do so again."""
    rest = [phase for part in (mixed, overload, soak) for phase in part(scale)[2:]]
    return [*single(scale), *rest]


SCENARIOS: dict[str, Callable[[Scale], list[Phase]]] = {
    "single": single,
    "scaling": scaling,
    "mixed": mixed,
    "overload": overload,
    "soak": soak,
    "all": everything,
}
DEFAULT_MIX = {"mixed": "mixed", "soak": "mixed", "all": "mixed"}  # the others: short
DEFAULT_MANNERS = {"overload": "both"}  # the others: never try again, so that each refusal is seen


def planned_s(phases: list[Phase]) -> float:
    """Seconds that these take, settling aside."""
    return sum(phase.length_s for phase in phases)
