"""When a decoded window is tried again at a higher temperature, and which try is kept. Pure; Whisper's own rules."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from worker.window import DecodeOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One decoding of one window."""

    tokens: tuple[int, ...]
    text: str
    temperature: float
    avg_logprob: float
    no_speech_prob: float

    @property
    def compression_ratio(self) -> float:
        """Bytes of the text over the same compressed; a loop compresses well."""
        return compression_ratio(self.text)


def compression_ratio(text: str) -> float:
    """1.0 or less for ordinary short text, above 2.4 for loops; 0 for no text."""
    data = text.strip().encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def must_retry(attempt: Attempt, options: DecodeOptions) -> bool:
    """A loop, or an improbable text, unless it is improbable because nobody speaks."""
    is_improbable = attempt.avg_logprob < options.log_prob_threshold
    if is_improbable and attempt.no_speech_prob > options.no_speech_threshold:
        return False
    return is_improbable or attempt.compression_ratio > options.compression_ratio_threshold


def best(attempts: Sequence[Attempt], options: DecodeOptions) -> Attempt:
    """The most probable of those that do not loop; of all, if all loop."""
    straight = [one for one in attempts if one.compression_ratio <= options.compression_ratio_threshold]
    return max(straight or attempts, key=lambda one: one.avg_logprob)


def is_silence(attempt: Attempt, options: DecodeOptions) -> bool:
    """Nobody speaks: the model says so and is not sure of the text either."""
    return attempt.no_speech_prob > options.no_speech_threshold and attempt.avg_logprob <= options.log_prob_threshold
