"""
The real engine: the one file that imports faster_whisper and ctranslate2.

Window by window it does what faster-whisper does clip by clip, with faster-whisper's own parts (features, prompt,
segments by timestamps, word alignment), so that windows of several requests can share a call. On CPU windows are
encoded one at a time (a batch is no faster there) and decoded together; on CUDA both stages take the batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens
from numpy.typing import NDArray

from fleet.serve import StartupError
from fleet.wire import Word
from worker import edges, fallback, segments, sequential, speech
from worker.card import read_card
from worker.device import device_watched
from worker.fallback import Attempt
from worker.features import Features
from worker.models import catalogue
from worker.prompt import Prompts
from worker.recipe import weights_of
from worker.segments import FRAME, Draft
from worker.settings import WorkerSettings
from worker.silero import Silero
from worker.window import (
    RATE,
    WINDOW_S,
    DecodeOptions,
    EngineFacts,
    Piece,
    Samples,
    Window,
    WindowResult,
)

FRAMES_MAX = int(WINDOW_S * 100)  # mel frames of 10 ms in Whisper's window
INITIAL_TIMESTAMP_MAX = 50  # a first timestamp beyond one second is not believed; Whisper's own limit
ALIGNED_FRAMES_MIN = 2  # alignment fails on less than one token's worth of audio
HYPOTHESES = 5  # candidates of a sampled decoding; Whisper's own number
PREPEND, APPEND = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001  punctuation that belongs to the next/previous word


class WhisperEngine:
    """faster-whisper behind the contract of `worker.window.Engine`."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self.device = _device(settings.device)
        self._facts: EngineFacts | None = None
        self._model: Any = None
        self._prompts: Any = None
        self._silero: Silero | None = None
        self._suppressed: tuple[int, ...] = ()

    @property
    def facts(self) -> EngineFacts:
        """What was loaded, and onto what."""
        if self._facts is None:
            raise RuntimeError("the engine is not loaded")
        return self._facts

    def load(self) -> None:
        """Find or fetch the model, read it and its card; raises StartupError."""
        settings = self._settings
        directory = catalogue.resolve(settings.model, settings.model_dir, is_offline=settings.offline)
        device = self.device
        compute_type = settings.compute_type or ("int8_float16" if device == "cuda" else "int8")
        self._model = _load(directory, device, compute_type, settings.threads)
        self._model.feature_extractor = Features(self._model.feature_extractor)
        self._prompts = Prompts(self._model, self._tokenizer)
        self._suppressed = tuple(get_suppressed_tokens(self._tokenizer("en", "transcribe"), [-1]))
        is_multilingual = bool(self._model.model.is_multilingual)
        self._silero = Silero()
        self._facts = EngineFacts(
            model=settings.model,
            device=device,
            compute_type=compute_type,
            languages=_languages_of(self._model),
            can_translate=is_multilingual and "turbo" not in Path(settings.model).name.lower(),  # it never learned to
            is_scripted=False,
            card=read_card(directory),
            weights=weights_of(directory),
        )

    def plan(self, samples: Samples, options: DecodeOptions, is_cancelled: Callable[[], bool]) -> list[Window]:
        """Voice activity, then windows."""
        if options.vad is None or self._silero is None:
            return []
        probabilities = self._silero.probabilities(samples, is_cancelled)
        regions = edges.fitted(speech.regions(probabilities, len(samples), options.vad), samples)
        return speech.windows(regions, merge=options.merge_regions)

    def key(self, piece: Piece) -> Hashable:
        """Equal frames, because a call takes one shape; equal prompt length, because CTranslate2 wants it."""
        options = piece.options
        return (
            _frames(piece),
            len(self._prompts.of(piece, options.language or "en")),
            options.beam_size,
            options.temperatures[0],
            options.repetition_penalty,
            options.no_repeat_ngram_size,
        )

    def run(self, pieces: Sequence[Piece], is_cancelled: Callable[[], bool]) -> list[WindowResult]:
        """Encode, detect, decode, fall back, cut into segments."""
        with device_watched():
            return self._run(pieces, is_cancelled)

    def sequential(self, samples: Samples, options: DecodeOptions) -> Iterator[WindowResult]:
        """faster-whisper's own loop, a segment a step."""
        with device_watched():
            yield from sequential.decode(
                self._model, samples, replace(options, hotwords=self._prompts.hotwords(options))
            )

    def _run(self, pieces: Sequence[Piece], is_cancelled: Callable[[], bool]) -> list[WindowResult]:
        began = time.monotonic()
        encoded = self._encode(pieces)
        encode_s = (time.monotonic() - began) / len(pieces)
        languages = self._languages(encoded, pieces)
        attempts = self._decode(encoded, pieces, [language for language, _ in languages])
        results = []
        for piece, attempt, (language, probability) in zip(pieces, attempts, languages, strict=True):
            own = encoded if len(pieces) == 1 else None
            drafts, resume_at, kept = self._finish(piece, attempt, language, own, is_cancelled)
            results.append(
                WindowResult(
                    segments=tuple(segments.finished(one, kept, piece) for one in drafts),
                    language=language,
                    language_probability=probability,
                    resume_at=resume_at,
                    encode_s=encode_s,
                )
            )
        return results

    def _finish(
        self, piece: Piece, attempt: Attempt, language: str, encoded: Any, is_cancelled: Callable[[], bool]
    ) -> tuple[list[Draft], int | None, Attempt]:
        """What one window still needs after the common call; it is encoded once more if it was not alone in that."""
        options = piece.options
        if fallback.must_retry(attempt, options) and len(options.temperatures) > 1:
            encoded = encoded or self._encode([piece])
            attempt = self._climb(encoded, piece, language, attempt, is_cancelled)
        if fallback.is_silence(attempt, options):
            return [], None, attempt
        tokenizer = self._tokenizer(language, options.task)
        drafts, resume_at = self._drafts(attempt, piece, tokenizer)
        if options.wants_words and drafts:
            self._add_words(drafts, piece, tokenizer, encoded or self._encode([piece]))
            if resume_at is not None:  # alignment knows better where the last word ends; its rest is no word of its own
                resume_at = segments.resume_at(piece.window, round(100 * segments.end_of(drafts)))
        # the model may close a segment where it opened it: nothing was said there
        return [one for one in drafts if one.start < one.end and one.text.strip()], resume_at, attempt

    def _features(self, piece: Piece) -> NDArray[np.float32]:
        """Log-mel of the window, padded with zeros (as Whisper was trained) to the frames that are encoded."""
        frames, filled = _frames(piece), _frames_filled(piece.window)
        features = self._model.feature_extractor(piece.samples[piece.window.start : piece.window.end])[:, :filled]
        return np.pad(features, ((0, 0), (0, frames - features.shape[1])))

    def _encode(self, pieces: Sequence[Piece]) -> Any:
        features = [self._features(piece) for piece in pieces]
        if self.device == "cuda" or len(features) == 1:
            return self._model.encode(np.stack(features))
        alone = [np.asarray(self._model.encode(one)) for one in features]
        return ctranslate2.StorageView.from_array(np.concatenate(alone))

    def _languages(self, encoded: Any, pieces: Sequence[Piece]) -> list[tuple[str, float]]:
        """What was asked for, or what the model hears among what was allowed."""
        if not self._model.model.is_multilingual:
            return [("en", 1.0) for _ in pieces]
        if all(piece.options.language for piece in pieces):
            return [(piece.options.language or "", 1.0) for piece in pieces]
        heard = self._model.model.detect_language(encoded)
        return [
            (piece.options.language, 1.0) if piece.options.language else _likeliest(one, piece.options.languages)
            for piece, one in zip(pieces, heard, strict=True)
        ]

    def _tokenizer(self, language: str, task: str) -> Any:
        return Tokenizer(self._model.hf_tokenizer, self._model.model.is_multilingual, task=task, language=language)

    def _decode(
        self, encoded: Any, pieces: Sequence[Piece], languages: Sequence[str], temperature: float | None = None
    ) -> list[Attempt]:
        """One call for all pieces, at the first temperature or the given one."""
        options = pieces[0].options
        heat = options.temperatures[0] if temperature is None else temperature
        sampling = (
            {"beam_size": 1, "num_hypotheses": HYPOTHESES, "sampling_topk": 0, "sampling_temperature": heat}
            if heat > 0
            else {"beam_size": options.beam_size, "patience": 1}
        )
        generated = self._model.model.generate(
            encoded,
            [self._prompts.of(piece, language) for piece, language in zip(pieces, languages, strict=True)],
            length_penalty=1,
            repetition_penalty=options.repetition_penalty,
            no_repeat_ngram_size=options.no_repeat_ngram_size,
            max_length=self._model.max_length,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
            max_initial_timestamp_index=INITIAL_TIMESTAMP_MAX,
            **sampling,
        )
        tokenizer = self._tokenizer("en", "transcribe")
        return [_attempt(one, heat, tokenizer) for one in generated]

    def _climb(
        self, encoded: Any, piece: Piece, language: str, first: Attempt, is_cancelled: Callable[[], bool]
    ) -> Attempt:
        """Up the ladder of temperatures until an attempt will do; if none does, the best of them."""
        attempts = [first]
        for temperature in piece.options.temperatures[1:]:
            if is_cancelled():
                break
            attempts += self._decode(encoded, [piece], [language], temperature)
            if not fallback.must_retry(attempts[-1], piece.options):
                return attempts[-1]
        return fallback.best(attempts, piece.options)

    def _drafts(self, attempt: Attempt, piece: Piece, tokenizer: Any) -> tuple[list[Draft], int | None]:
        """The window's segments, and where to go on if the model stopped before the speech did."""
        window = piece.window
        if piece.options.without_timestamps:
            return [segments.whole(window, attempt)], None
        frames = _frames_filled(window)
        found, seek_after, _ = self._model._split_segments_by_timestamps(
            tokenizer=tokenizer,
            tokens=list(attempt.tokens),
            time_offset=window.start / RATE,
            segment_size=frames,
            segment_duration=frames * FRAME / RATE,
            seek=window.start // FRAME,
        )
        drafts = [
            Draft(one["seek"], one["start"], one["end"], tuple(one["tokens"]), tokenizer.decode(one["tokens"]))
            for one in found
        ]
        return drafts, segments.resume_at(window, seek_after)

    def _add_words(self, drafts: list[Draft], piece: Piece, tokenizer: Any, encoded: Any) -> None:
        """Align the text with the audio. The model's own segment times move with the words; voice activity's stay."""
        found: list[dict[str, Any]] = [
            {"seek": one.seek, "start": one.start, "end": one.end, "tokens": list(one.tokens)} for one in drafts
        ]
        frames = max(ALIGNED_FRAMES_MIN, min(_frames(piece), _frames_filled(piece.window)))
        self._model.add_word_timestamps([found], tokenizer, encoded, frames, PREPEND, APPEND, last_speech_timestamp=0.0)
        for draft, one in zip(drafts, found, strict=True):
            draft.words = tuple(_words(one["words"]))
            if not piece.options.without_timestamps:
                draft.start, draft.end = float(one["start"]), float(one["end"])


def _load(directory: Path, device: str, compute_type: str, threads: int) -> Any:
    try:
        return WhisperModel(str(directory), device=device, compute_type=compute_type, cpu_threads=threads)
    except Exception as error:  # the edge of three libraries; a tokenizer that is no JSON is a bare Exception
        raise StartupError(f"the model could not be loaded on {device} as {compute_type}: {error}") from error


def _languages_of(model: Any) -> tuple[str, ...]:
    """Those that the model has a token for; faster-whisper names Cantonese of models that were made before it was."""
    named = tuple(model.supported_languages)
    known = tuple(code for code in named if model.hf_tokenizer.token_to_id(f"<|{code}|>") is not None)
    return known if len(named) > 1 else named


def _device(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    return "cuda" if ctranslate2.get_cuda_device_count() else "cpu"


def _frames(piece: Piece) -> int:
    """Mel frames to encode: all of Whisper's window, or what this one fills, rounded up to the card's step."""
    if not piece.options.is_auto_context:
        return FRAMES_MAX
    step = piece.options.context_step_frames
    return min(FRAMES_MAX, math.ceil(_frames_filled(piece.window) / step) * step)


def _frames_filled(window: Window) -> int:
    return min(FRAMES_MAX, max(1, (window.end - window.start) // FRAME))


def _likeliest(heard: Sequence[tuple[str, float]], allowed: Sequence[str]) -> tuple[str, float]:
    codes = [(token[2:-2], probability) for token, probability in heard]
    return next(((code, probability) for code, probability in codes if not allowed or code in allowed), codes[0])


def _attempt(generated: Any, temperature: float, tokenizer: Any) -> Attempt:
    tokens = tuple(generated.sequences_ids[0])
    return Attempt(
        tokens=tokens,
        text=tokenizer.decode(list(tokens)),
        temperature=temperature,
        # CTranslate2's score is the mean over the tokens; Whisper counts the end token too
        avg_logprob=generated.scores[0] * len(tokens) / (len(tokens) + 1),
        no_speech_prob=generated.no_speech_prob,
    )


def _words(found: Sequence[dict[str, Any]]) -> Iterator[Word]:
    for one in found:
        yield Word(one["word"], float(one["start"]), float(one["end"]), float(one["probability"]))
