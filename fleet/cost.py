"""What a clip costs: seconds of compute = fixed + rtf x seconds of audio, learned from what was seen (core: no I/O)."""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from operator import mul

SAMPLES = 50  # what came before the last fifty clips no longer tells about the next
ENOUGH = 5  # fewer than this say too little about a line
RTF_LEAST = 1e-4


@dataclass(frozen=True, slots=True)
class Cost:
    """A line: `fixed_s` for every clip, `rtf` seconds of compute for each second of audio."""

    fixed_s: float
    rtf: float

    def seconds(self, audio_s: float) -> float:
        """Seconds of compute for a clip of `audio_s` seconds."""
        return self.fixed_s + self.rtf * audio_s


PRIORS = {"cpu": Cost(0.05, 0.1), "cuda": Cost(0.05, 0.02)}


@dataclass(slots=True)
class CostModel:
    """Least squares over the last fifty clips; the prior until five are known."""

    prior: Cost = PRIORS["cpu"]
    _seen: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    _fit: Cost | None = None

    @property
    def is_learned(self) -> bool:
        """Whether enough clips were seen to speak for themselves."""
        return len(self._seen) >= ENOUGH

    @property
    def cost(self) -> Cost:
        """The learned line, or the prior."""
        if not self.is_learned:
            return self.prior
        if self._fit is None:
            self._fit = fit(self._seen, self.prior)
        return self._fit

    def learn(self, audio_s: float, compute_s: float) -> None:
        """A clip of `audio_s` seconds took `compute_s`."""
        self._seen.append((audio_s, compute_s))
        self._fit = None


def fit(seen: Collection[tuple[float, float]], prior: Cost) -> Cost:
    """
    The least-squares line through (audio_s, compute_s), neither part negative.

    Clips of about one length cannot tell fixed from proportional cost; then the prior's proportional part is kept, as
    far as the clips allow it. (To call it all proportional would say that an hour takes a day, after clips of 0.1 s.)
    """
    n = len(seen)
    xs, ys = zip(*seen, strict=True)
    mean_x, mean_y = sum(xs) / n, sum(ys) / n
    var = sum(map(mul, xs, xs)) / n - mean_x**2
    is_one_length = var <= 0.01 * mean_x**2
    slope = prior.rtf if is_one_length else (sum(map(mul, xs, ys)) / n - mean_x * mean_y) / var
    most = mean_y / mean_x if mean_x > 0 else slope
    rtf = max(RTF_LEAST, min(slope, most))
    return Cost(max(0.0, mean_y - rtf * mean_x), rtf)


def median(costs: Sequence[Cost]) -> Cost | None:
    """The middle cost by parts: what a newcomer is taken to be until it has shown itself."""
    if not costs:
        return None
    middle = len(costs) // 2
    return Cost(sorted(c.fixed_s for c in costs)[middle], sorted(c.rtf for c in costs)[middle])
