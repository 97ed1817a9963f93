"""
What stands before a window's text: the caller's hotwords and prompt, and Whisper's own first tokens.

A request's windows are asked for their prompt at every call, and so is everybody who might share it; ten thousand
characters take ten milliseconds to tokenise. So each prompt is tokenised once and kept while others are in use.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from worker.window import DecodeOptions, Piece

HOTWORD_TOKENS_MAX = 111  # of 448; with 223 of them and 223 of a prompt there is no room for an answer
KEPT = 128  # prompts: a few for each request that a worker has at once


class Prompts:
    """The prompts of one model; `tokenizer` gives its tokenizer, set to a language and a task."""

    def __init__(self, model: Any, tokenizer: Callable[[str, str], Any]) -> None:
        self._model, self._tokenizer = model, tokenizer
        # a caller's "<|startoftranscript|>" is text; as a token it would fail every window in the same call
        model.hf_tokenizer.encode_special_tokens = True
        self._kept = lru_cache(maxsize=KEPT)(self._tokens)

    def of(self, piece: Piece, language: str) -> list[int]:
        """A window's prompt; the request's own is for its first window only."""
        options = piece.options
        prompt = options.prompt if piece.window.is_first else None
        return list(self._kept(language, options.task, prompt, options.hotwords, options.without_timestamps))

    def hotwords(self, options: DecodeOptions) -> str | None:
        """Those that there is room for, the first ones."""
        return self._fitting(options.hotwords)

    def _tokens(
        self, language: str, task: str, prompt: str | None, hotwords: str | None, without_timestamps: bool
    ) -> tuple[int, ...]:
        tokenizer = self._tokenizer(language, task)
        before = tokenizer.encode(f" {prompt.strip()}") if prompt else []
        return tuple(
            self._model.get_prompt(
                tokenizer, before, without_timestamps=without_timestamps, hotwords=self._fitting(hotwords)
            )
        )

    def _fitting(self, hotwords: str | None) -> str | None:
        if hotwords is None:
            return None
        tokens = self._model.hf_tokenizer.encode(f" {hotwords.strip()}", add_special_tokens=False).ids
        if len(tokens) <= HOTWORD_TOKENS_MAX:
            return hotwords
        return str(self._model.hf_tokenizer.decode(tokens[:HOTWORD_TOKENS_MAX]))
