"""What the fleet can transcribe with: the models that its workers say they hold."""

from __future__ import annotations

from fleet import models
from router.cache.key import identity_of
from router.pool import Pool


class Offer:
    """Read from the pool whenever it is asked: workers come and go."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def models(self) -> list[str]:
        """Every model once, in the order their workers joined."""
        return list(dict.fromkeys(worker.report.model for worker in self._pool if worker.report is not None))

    def languages(self) -> dict[str, list[str]]:
        """The languages of each model, as codes, sorted; several workers of one model may differ."""
        known: dict[str, set[str]] = {}
        for worker in self._pool:
            if worker.report is not None:
                known.setdefault(worker.report.model, set()).update(worker.report.languages)
        return {name: sorted(codes) for name, codes in known.items()}

    def resolve(self, name: str | None) -> str | None:
        """The model that a caller means; None is whatever a worker has. Raises ModelNotFound."""
        return models.resolve(name, self.models(), accepts_any=self.is_scripted)

    def identity(self, name: str | None) -> str | None:
        """What a request for this model would be answered by; None is unknown, or not one thing (router.cache.key)."""
        reports = [worker.report for worker in self._pool if worker.report is not None]
        return identity_of(reports, None if self.is_scripted else name)

    @property
    def is_scripted(self) -> bool:
        """Whether a worker holds no model but a script, which takes any model's name and any language."""
        return any(worker.report is not None and worker.report.is_scripted for worker in self._pool)
