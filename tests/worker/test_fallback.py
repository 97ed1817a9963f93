"""When a window is tried again, and which try is kept."""

from worker import fallback
from worker.fallback import Attempt
from worker.window import DecodeOptions

OPTIONS = DecodeOptions()
LOOP = "again and " * 40


def attempt(text: str = "one two", avg_logprob: float = -0.2, no_speech_prob: float = 0.0) -> Attempt:
    return Attempt(tokens=(), text=text, temperature=0.0, avg_logprob=avg_logprob, no_speech_prob=no_speech_prob)


def test_ordinary_text_is_kept():
    """Neither a loop nor improbable: no second try."""
    assert not fallback.must_retry(attempt(), OPTIONS)


def test_a_loop_is_tried_again():
    """Text that compresses more than 2.4 times repeats itself."""
    assert fallback.must_retry(attempt(LOOP), OPTIONS)


def test_improbable_text_is_tried_again_unless_nobody_speaks():
    """Below the log-prob threshold, except where the model hears no speech."""
    assert fallback.must_retry(attempt(avg_logprob=-1.5), OPTIONS)
    assert not fallback.must_retry(attempt(avg_logprob=-1.5, no_speech_prob=0.9), OPTIONS)


def test_silence_needs_both_signs():
    """A sure text is kept even where the model doubts that somebody speaks."""
    assert fallback.is_silence(attempt(avg_logprob=-1.5, no_speech_prob=0.9), OPTIONS)
    assert not fallback.is_silence(attempt(avg_logprob=-0.2, no_speech_prob=0.9), OPTIONS)


def test_best_prefers_what_does_not_loop():
    """A probable loop loses against a less probable text; among loops the most probable wins."""
    straight, loop = attempt(avg_logprob=-2), attempt(LOOP, avg_logprob=-0.1)
    assert fallback.best([loop, straight], OPTIONS) is straight
    assert fallback.best([loop, attempt(LOOP, avg_logprob=-3)], OPTIONS) is loop


def test_no_text_does_not_loop():
    """Nothing has no ratio, and is no reason to try again."""
    assert fallback.compression_ratio("") == 0
