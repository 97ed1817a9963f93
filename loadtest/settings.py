"""Every knob of a load test, with its unit and the reason for its default."""

from dataclasses import dataclass

from fleet.plan import usable_cores
from fleet.settings import SettingError, setting
from loadtest.clips import MIXES, SAMPLES
from loadtest.measure import WRONG_ABOVE
from loadtest.target import NGINX, ROUTER

SCRIPTED = "fake:"  # engines that make words up


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadtestSettings:
    """
    whisper-fleet loadtest [SCENARIO]: put a fleet under load and report.

    Scenarios: scaling (default: 1, 2, 4 .. workers), single (one worker's knee), mixed (short beside long), overload
    (3x capacity, then back), soak, all, ci (a minute; fails on a wrong word, an error, or bad scaling).
    """

    url: str = setting("", "what to put under load; unset: a fleet that is started for it")
    workers: tuple[str, ...] = setting((), "fleet sizes, comma-separated; unset: 1, 2, 4 .. up to the cores")
    model: str = setting(
        "spoken-digits",
        "model of the workers, as for `up`; fake:SECONDS to load the balancer alone",
        also=("MODEL_SIZE",),
    )
    threads_per_worker: int = setting(
        0,
        "threads inside one model call; 0: the cores shared out in the largest fleet, the same in every size",
        unit="threads",
        least=0,
        most=256,
    )
    balancer: tuple[str, ...] = setting((ROUTER,), "router, nginx, or both with a comma, one after the other")
    faults: tuple[str, ...] = setting((), "kill:1@20,stall:2@30+5,slow:1@40+10,drain:2@60: worker, second, length")

    mix: str = setting("auto", "clips by length; auto: the scenario's own", choices=("auto", *MIXES))
    manners: str = setting(
        "auto",
        "what refused clients do: heed Retry-After, come back at once, half of each, give up",
        choices=("auto", "patient", "hasty", "both", "none"),
    )
    texts: str = setting(
        "auto",
        "check words against what is said (known) or against the first answer (same)",
        choices=("auto", "known", "same", "off"),
    )
    wrong_above: float = setting(
        WRONG_ABOVE, "word errors per word past which an answer is wrong", unit="ratio", least=0
    )

    clients: int = setting(0, "clients that keep every slot busy; 0: two a worker, 8 for a URL", least=0, most=2000)
    capacity: float = setting(0, "what is taken for full load; 0: measured first", unit="requests/s", least=0)
    step_s: float = setting(8, "length of one step", unit="s", least=2)
    soak_s: float = setting(600, "length of a soak", unit="s", least=1)
    medium_s: float = setting(60, "length of medium clips", unit="s", least=5)
    long_s: float = setting(300, "length of long clips", unit="s", least=5)
    timeout_s: float = setting(120, "silence after which a call has failed", unit="s", least=0.1)
    seed: int = setting(1, "the same seed plans the same calls")
    ask_model: str = setting("whisper-1", "model name that calls carry")
    samples: str = setting(str(SAMPLES), "folder with clips and texts.json")

    out: str = setting("reports", "folder for report.html, report.json and the plots")
    strict: bool = setting(False, "exit code 1 on a wrong word, an error or scaling below the least")
    least_efficiency: float = setting(0.8, "scaling that --strict asks for", unit="ratio", least=0)
    ui: bool = setting(False, "Locust's own pages instead of a report: http://127.0.0.1:8089")

    def sizes(self) -> tuple[int, ...]:
        """Fleet sizes, rising; raises SettingError."""
        if self.url:
            return (1,)
        if not self.workers:
            return tuple(2**power for power in range(len(usable_cores()).bit_length()))
        if not all(text.isdigit() and 0 < int(text) <= 256 for text in self.workers):
            raise SettingError(
                f"WORKERS must be whole numbers from 1 to 256 with commas; it is {','.join(self.workers)}."
            )
        return tuple(sorted({int(text) for text in self.workers}))

    def threads(self) -> int:
        """Threads of each worker, the same in every fleet size: else one worker of many threads would be compared."""
        return self.threads_per_worker or max(1, len(usable_cores()) // self.sizes()[-1])

    def balancers(self) -> tuple[str, ...]:
        """Which balancers, in the order given; raises SettingError."""
        if unknown := set(self.balancer) - {ROUTER, NGINX}:
            raise SettingError(f"BALANCER must be router, nginx or router,nginx; it is {', '.join(unknown)}.")
        return self.balancer

    def checks(self) -> str:
        """What words are checked against."""
        if self.texts != "auto":
            return self.texts
        return "same" if self.model.startswith(SCRIPTED) and not self.url else "known"

    def busy_clients(self, workers: int) -> int:
        """Clients that keep every slot busy: one in service and one waiting for each."""
        return self.clients or (8 if self.url else 2 * workers)
