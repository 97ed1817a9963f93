"""
One window after the other, each prompted with the text before it: faster-whisper's own loop, iterated step by step.

The fallback for what windows cannot do: CONDITION_ON_PREVIOUS_TEXT, and clips without voice activity detection.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fleet.wire import Segment, Word
from worker import segments
from worker.window import RATE, WINDOW_S, DecodeOptions, Samples, WindowResult


def decode(model: Any, samples: Samples, options: DecodeOptions) -> Iterator[WindowResult]:
    """A segment a step; nothing is computed before the first one is asked for."""
    vad = options.vad
    found, info = model.transcribe(
        samples,
        language=_language(model, samples, options),
        task=options.task,
        beam_size=options.beam_size,
        temperature=list(options.temperatures),
        compression_ratio_threshold=options.compression_ratio_threshold,
        log_prob_threshold=options.log_prob_threshold,
        no_speech_threshold=options.no_speech_threshold,
        repetition_penalty=options.repetition_penalty,
        no_repeat_ngram_size=options.no_repeat_ngram_size,
        condition_on_previous_text=options.condition_on_previous_text,
        initial_prompt=options.prompt,
        hotwords=options.hotwords,
        without_timestamps=options.without_timestamps,
        word_timestamps=options.wants_words,
        vad_filter=vad is not None,
        vad_parameters=vad
        and {
            "threshold": vad.threshold,
            "min_speech_duration_ms": vad.min_speech_ms,
            "min_silence_duration_ms": vad.min_silence_ms,
            "max_speech_duration_s": vad.max_speech_s,
            "speech_pad_ms": vad.speech_pad_ms,
        },
    )
    clip_s = len(samples) / RATE
    for segment in found:
        yield WindowResult(
            segments=(_from_faster_whisper(segment, clip_s),),
            language=info.language,
            language_probability=info.language_probability,
        )


def _language(model: Any, samples: Samples, options: DecodeOptions) -> str | None:
    """What was asked for; among several allowed ones the likeliest; None lets the loop detect it."""
    if options.language or not options.languages or not model.model.is_multilingual:
        return options.language
    _, _, heard = model.detect_language(samples[: int(WINDOW_S * RATE)])
    allowed = [language for language, _ in heard if language in options.languages]
    return allowed[0] if allowed else None


def _from_faster_whisper(segment: Any, clip_s: float) -> Segment:
    start = min(max(0.0, segment.start), clip_s)
    end = min(max(start, segment.end), clip_s)
    words = None
    if segment.words is not None:
        aligned = (Word(one.word, float(one.start), float(one.end), float(one.probability)) for one in segment.words)
        words = segments.clamped(aligned, start, end)
    return Segment(
        id=0,
        seek=segment.seek,
        start=start,
        end=end,
        text=segment.text,
        tokens=tuple(segment.tokens),
        temperature=segment.temperature or 0.0,
        avg_logprob=segment.avg_logprob,
        compression_ratio=segment.compression_ratio,
        no_speech_prob=segment.no_speech_prob,
        words=words,
    )
