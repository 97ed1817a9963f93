"""What a worker says of itself: the load report on every answer, `GET /load`, `GET /health`."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from typing import Any

import fleet
from fleet.cost import PRIORS, CostModel
from fleet.wire import LoadReport, WorkerState
from worker.gate import Gate
from worker.lifecycle import Lifecycle
from worker.models import catalogue
from worker.recipe import recipe_of
from worker.settings import WorkerSettings
from worker.window import EngineFacts

GENERAL_MODEL = "; for a general model: MODEL=base make run"
BYTES_PER_S = 32_000  # 16 kHz PCM; a guess until the clip is decoded


class Reporter:
    """Reads gate, lifecycle and learned cost; changes only the last."""

    def __init__(self, settings: WorkerSettings, gate: Gate, lifecycle: Lifecycle) -> None:
        self._settings, self._gate, self._lifecycle = settings, gate, lifecycle
        self._boot = secrets.token_hex(4)
        self._began = time.monotonic()
        self._cost = CostModel(PRIORS["cpu"])
        self.facts: EngineFacts | None = None  # once the engine is loaded
        self._recipe = ""

    def on_loaded(self, facts: EngineFacts) -> None:
        """The engine knows what it is."""
        self.facts = facts
        self._recipe = recipe_of(self._settings, facts)
        self._cost = CostModel(PRIORS.get(facts.device, PRIORS["cpu"]))

    def guess_s(self, size_bytes: int) -> float:
        """Seconds of compute that an upload of this size will take, before its length is known."""
        return self.work_s(size_bytes / BYTES_PER_S)

    def work_s(self, audio_s: float) -> float:
        """Seconds of compute that a clip of this length will take."""
        return self._cost.cost.seconds(audio_s)

    def learn(self, audio_s: float, compute_s: float) -> None:
        """Take a completed clip into account."""
        self._cost.learn(audio_s, compute_s)

    def load(self, router: str = "") -> LoadReport:
        """The report, with the share of the router that asks."""
        gate, cost = self._gate, self._cost
        report = LoadReport(
            worker_id=self._settings.name,
            boot=self._boot,
            state=self._lifecycle.state,
            model=self._settings.model,
            slots=gate.slots,
            in_flight=gate.in_flight,
            queue_depth=gate.queue_depth,
            queue_limit=gate.queue_limit,
            work_s=round(gate.work_s(), 3),
            mine_s=round(gate.work_s(router), 3) if router else 0.0,
            mine=gate.requests_of(router) if router else 0,
            rtf=round(cost.cost.rtf, 5) if cost.is_learned else None,
            fixed_s=round(cost.cost.fixed_s, 4) if cost.is_learned else None,
            version=fleet.__version__,
            uptime_s=round(time.monotonic() - self._began, 1),
            why=self._lifecycle.why,
        )
        if self.facts is None:
            return report
        return replace(
            report,
            device=self.facts.device,
            compute_type=self.facts.compute_type,
            languages=self.facts.languages,
            can_translate=self.facts.can_translate,
            is_scripted=self.facts.is_scripted,
            note=self._note(),
            recipe=self._recipe,
        )

    def health(self) -> dict[str, Any]:
        """The small JSON that people and load balancers look at."""
        report = self.load().to_json()
        is_ready = self._lifecycle.state is WorkerState.READY
        # fmt: off
        names = ("worker_id", "model", "device", "compute_type", "slots", "in_flight", "queue_depth", "queue_limit",
                 "rtf", "uptime_s", "version", "state", "why")
        # fmt: on
        health = {"status": "healthy" if is_ready else str(self._lifecycle.state)}
        health |= {name: report[name] for name in names}
        if report["note"] is not None:
            health["about"] = report["note"]
        return health

    def _note(self) -> str | None:
        if self.facts is None or not self.facts.card.description:
            return None
        is_embedded = self._settings.model in catalogue.EMBEDDED_NAMES
        return self.facts.card.description + (GENERAL_MODEL if is_embedded else "")
