"""How a request is decoded: its own fields, else the worker's settings, else the model's card. Pure."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

from fleet.errors import BadRequest
from fleet.fields import TranscriptionRequest
from worker.card import ModelCard
from worker.settings import WorkerSettings
from worker.window import DecodeOptions, EngineFacts, VadOptions

PROMPT_CHARS_MAX = 4096  # only 223 tokens of it count, the last ones

NEAREST = {"yue": "zh"}  # models before large-v3 know one Chinese; who sends zh-HK to those means that one

Value = TypeVar("Value")


def decode_options(request: TranscriptionRequest, settings: WorkerSettings, facts: EngineFacts) -> DecodeOptions:
    """Merge the three; raises BadRequest (`model_not_capable`) for what this model cannot do."""
    card = facts.card
    if request.task == "translate" and not facts.can_translate:
        raise BadRequest("This model cannot translate.", code="model_not_capable", param="model")
    is_vad_on = _first(request.vad.is_on, settings.vad_filter)
    return DecodeOptions(
        task=request.task,
        language=_language(request, settings, facts),
        languages=tuple(one for one in map(partial(_nearest, facts), request.languages) if one in facts.languages),
        prompt=(request.prompt or "")[-PROMPT_CHARS_MAX:] or None,
        hotwords=(request.hotwords or "")[:PROMPT_CHARS_MAX] or None,
        beam_size=_first(request.beam_size, settings.beam_size, card.beam_size),
        temperatures=_temperatures(request, settings, card),
        compression_ratio_threshold=settings.compression_ratio_threshold,
        log_prob_threshold=_first(settings.log_prob_threshold, card.log_prob_threshold),
        no_speech_threshold=_first(settings.no_speech_threshold, card.no_speech_threshold),
        repetition_penalty=settings.repetition_penalty,
        no_repeat_ngram_size=settings.no_repeat_ngram_size,
        wants_words=request.wants_words,
        without_timestamps=_first(settings.without_timestamps, card.without_timestamps),
        condition_on_previous_text=_first(request.condition_on_previous_text, settings.condition_on_previous_text),
        is_auto_context=_first(settings.audio_context, card.audio_context) == "auto",
        context_step_frames=card.audio_context_step_frames,
        merge_regions=card.merge_regions,
        vad=_vad(request, settings, card) if is_vad_on else None,
    )


def ignored(request: TranscriptionRequest, facts: EngineFacts) -> tuple[str, ...]:
    """
    Fields that were sent and change nothing, so that the answer can say so.

    Not refused: many clients send a language always, and an English-only model is asked for English then.
    """
    only = facts.languages if len(facts.languages) == 1 else None
    told = {
        "language": only is not None and request.language not in (None, *only),
        "languages": bool(request.languages) and not set(request.languages) & set(facts.languages),
    }
    return tuple(name for name, is_ignored in told.items() if is_ignored)


def _first(*values: Value | None) -> Value:
    """The first that says something; the last one always does."""
    return next(value for value in values if value is not None)


def _language(request: TranscriptionRequest, settings: WorkerSettings, facts: EngineFacts) -> str | None:
    wanted = request.language or (None if request.languages else settings.default_language)
    if len(facts.languages) == 1:
        return facts.languages[0]
    wanted = _nearest(facts, wanted) if wanted else None
    if wanted is not None and wanted not in facts.languages:
        raise BadRequest("This model does not know that language.", code="model_not_capable", param="language")
    return wanted


def _nearest(facts: EngineFacts, language: str) -> str:
    return language if language in facts.languages else NEAREST.get(language, language)


def _temperatures(request: TranscriptionRequest, settings: WorkerSettings, card: ModelCard) -> tuple[float, ...]:
    """A temperature above 0 is meant; 0 is what clients send for "as usual", which has the fallbacks."""
    if request.temperature:
        return (request.temperature,)
    if settings.temperature_fallback is False:
        return card.temperatures[:1]
    return card.temperatures


def _vad(request: TranscriptionRequest, settings: WorkerSettings, card: ModelCard) -> VadOptions:
    wanted = request.vad
    return VadOptions(
        threshold=_first(wanted.threshold, settings.vad_threshold, card.vad_threshold),
        min_speech_ms=_first(settings.min_speech_duration_ms, card.min_speech_ms),
        max_speech_s=_first(wanted.max_speech_s, settings.max_speech_duration_s, card.max_speech_s),
        min_silence_ms=_first(wanted.min_silence_ms, settings.min_silence_duration_ms, card.min_silence_ms),
        speech_pad_ms=_first(wanted.speech_pad_ms, settings.speech_pad_ms, card.speech_pad_ms),
    )
