"""
One request: decode the upload, cut it into windows, stream the segments out.

Whoever calls holds a slot of the gate. Leaving early - a hang-up, a deadline, an error - drops the windows that are
not under way, so a slot is free again within one window.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import IO

from fleet.wire import Segment, Transcript
from worker import wav
from worker.batcher import Batcher
from worker.clip import AudioLimits, Clip, Decoder
from worker.segments import following
from worker.window import DecodeOptions, Engine, Samples, Window, WindowResult


@dataclass(slots=True)
class Progress:
    """What is known of a transcription so far; whole once its segments have all been taken."""

    duration_s: float = 0.0
    language: str = "en"
    language_probability: float = 1.0
    warnings: tuple[str, ...] = ()
    segments: list[Segment] = field(default_factory=list)
    results: int = 0
    decode_s: float = 0.0
    encode_s: float = 0.0
    generate_s: float = 0.0
    engine_s: float = 0.0

    def take(self, result: WindowResult) -> None:
        """What a window took; the language was heard in the first one, and the others were told."""
        if self.results == 0:
            self.language, self.language_probability = result.language, result.language_probability
        self.results += 1
        self.encode_s += result.encode_s
        self.generate_s += result.generate_s

    def transcript(self, model: str) -> Transcript:
        """The answer."""
        return Transcript(
            segments=tuple(self.segments),
            language=self.language,
            language_probability=self.language_probability,
            duration_s=self.duration_s,
            model=model,
            warnings=self.warnings,
        )


class Transcriber:
    """Decoder, engine and batcher put to work on one clip after the other."""

    def __init__(
        self, engine: Engine, batcher: Batcher, decoder: Decoder, *, limits: AudioLimits, threads: int
    ) -> None:
        self._engine, self._batcher, self._decoder, self._limits = engine, batcher, decoder, limits
        # apart, so that looking for speech in an hour of audio keeps nobody from being decoded
        self._decoding = ThreadPoolExecutor(threads, "decode")
        self._planning = ThreadPoolExecutor(threads, "plan")

    def close(self) -> None:
        """Give the threads back; nothing new is taken."""
        self._decoding.shutdown(wait=False, cancel_futures=True)
        self._planning.shutdown(wait=False, cancel_futures=True)

    async def decode(self, source: IO[bytes], progress: Progress, *, is_raw: bool = False) -> Clip:
        """The upload's samples, or the samples that the upload is; raises BadAudio."""
        began = time.monotonic()
        decoder = wav.decode_raw if is_raw else self._decoder
        loop = asyncio.get_running_loop()
        # in this request's context, so that what is logged over there has its id
        clip = await loop.run_in_executor(self._decoding, copy_context().run, decoder, source, self._limits)
        progress.decode_s = time.monotonic() - began
        progress.duration_s, progress.warnings = clip.duration_s, clip.warnings
        return clip

    async def segments(self, clip: Clip, options: DecodeOptions, progress: Progress) -> AsyncGenerator[Segment, None]:
        """The clip's segments, in order, as they are decoded."""
        began = time.monotonic()
        progress.language = options.language or (options.languages or ("en",))[0]
        windows = [] if options.is_sequential else await self._plan(clip.samples, options)
        if not windows and not options.is_sequential:
            progress.engine_s = time.monotonic() - began
            return  # silence costs no model call
        with self._batcher.run(clip.samples, windows, options) as job:
            async with aclosing(job.results()) as results:
                async for result in results:
                    progress.take(result)
                    for segment in result.segments:
                        progress.segments.append(following(segment, progress.segments))
                        yield progress.segments[-1]
        progress.engine_s = time.monotonic() - began

    async def _plan(self, samples: Samples, options: DecodeOptions) -> list[Window]:
        is_cancelled = False
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._planning, lambda: self._engine.plan(samples, options, lambda: is_cancelled)
            )
        finally:
            is_cancelled = True
