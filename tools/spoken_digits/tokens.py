"""The vocabulary: ten words, Whisper's special tokens, and a timestamp for every 20 ms of 30 s."""

from __future__ import annotations

import random

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
RATE = 16_000
TIMESTAMPS = 1_501  # 0.00 s .. 30.00 s
SPECIAL = [
    "endoftext",
    "startoftranscript",
    "translate",
    "transcribe",
    "startoflm",
    "startofprev",
    "nospeech",
    "notimestamps",
]


def make_tokenizer() -> Tokenizer:
    """Byte-level BPE whose merges are the digit words, then Whisper's special and timestamp tokens."""
    rng = random.Random(0)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    tokenizer.train_from_iterator((" " + " ".join(rng.choice(WORDS) for _ in range(20)) for _ in range(500)), trainer)
    tokenizer.add_special_tokens([AddedToken(f"<|{name}|>", special=True) for name in SPECIAL])
    tokenizer.add_special_tokens([AddedToken(f"<|{i * 0.02:.2f}|>", special=True) for i in range(TIMESTAMPS)])
    return tokenizer


class Tokens:
    """The ids the trainer needs."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.size = tokenizer.get_vocab_size()
        self.eot, self.sot, _, _, _, self.prev, self.no_speech, self.no_timestamps = map(self.special, SPECIAL)
        self.time_zero = self.special("0.00")

    def special(self, name: str) -> int:
        found = self.tokenizer.token_to_id(f"<|{name}|>")
        assert found is not None, name
        return found

    def text(self, words: str) -> list[int]:
        return self.tokenizer.encode(" " + words, add_special_tokens=False).ids

    def at(self, sample: int) -> int:
        return self.time_zero + min(TIMESTAMPS - 1, round(sample / RATE / 0.02))
