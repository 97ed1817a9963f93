"""Windows of audio and what is to be answered to them, made anew for each step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from faster_whisper.feature_extractor import FeatureExtractor
from torch.nn import functional as F

from tools.spoken_digits.network import WINDOW_FRAMES
from tools.spoken_digits.sounds import Run, Sounds
from tools.spoken_digits.speech import NEAR_WORDS, Speech
from tools.spoken_digits.tokens import RATE, TIMESTAMPS, WORDS, Tokens

HOP = 160  # samples in a mel frame
FRAMES = (150, 200, 300, 400, 500, 600, 800, 1_000, 1_000, 1_500, 2_000)  # lengths of shorter windows
SPEECHLESS_SHARE = 0.25  # windows that hold no digits


NOWHERE = (-1, -1)


class Batch(NamedTuple):
    mel: torch.Tensor  # [B, 80, T]
    inputs: torch.Tensor  # [B, L] decoder input
    targets: torch.Tensor  # [B, L], -100 ignored
    places: torch.Tensor  # [B, L, 2] encoder frames that the target is about, from and to; negative where none
    has_labels: torch.Tensor  # [B] whether the encoder's labels are known
    lengths: torch.Tensor  # [B] how many they are
    labels: torch.Tensor  # [sum] CTC labels of all
    at: int  # encoder position of the first frame


@dataclass
class Answer:
    """Tokens after <|startoftranscript|>: as given to the decoder, as it should answer, the samples each is about."""

    given: list[int]
    wanted: list[int]
    places: list[tuple[int, int]]


class Windows:
    """Makes training examples: a window of audio and the tokens Whisper should answer."""

    def __init__(self, speech: Speech, tokens: Tokens, seed: int) -> None:
        self.tokens, self.rng = tokens, np.random.default_rng(seed)
        self.sounds = Sounds(speech, self.rng)
        self.mel = torch.from_numpy(FeatureExtractor.get_mel_filters(RATE, 400, 80).astype(np.float32))
        self.hann = torch.hann_window(400)

    def window(self, frames: int) -> tuple[np.ndarray, list[int], Answer, list[int] | None]:
        """Audio of at most `frames`, prompt tokens, the answer, CTC labels (None where cut off)."""
        rng, tokens, size = self.rng, self.tokens, frames * HOP
        if rng.random() < SPEECHLESS_SHARE:
            wave, end = self.speechless(size), size
            runs: list[Run] = []
        else:
            wave, runs, end = self.spoken(frames)
        is_cut = bool(runs) and runs[-1].end > size
        labels = None if is_cut else [WORDS.index(word) + 1 for run in runs for word in run.words]
        prompt = [tokens.prev, *tokens.text(self.said_before())] if rng.random() < 0.16 else []
        return self.channel(wave[: max(end, 1_600)]), prompt, self.answer(runs, size), labels

    def said_before(self) -> str:
        """A prompt: digits, as a window before has them, or words of a caller, which are to change nothing."""
        rng = self.rng
        if rng.random() < 0.5:
            return " ".join(WORDS[i] for i in rng.integers(0, 10, rng.integers(1, 25)))
        letters = list("etaoinshrdlucmfwypvbgkjqxz")
        words = [
            NEAR_WORDS[rng.integers(len(NEAR_WORDS))]
            if rng.random() < 0.4
            else "".join(rng.choice(letters, rng.integers(2, 9)))
            for _ in range(rng.integers(1, 6))
        ]
        words = [
            str(
                rng.choice([word, word.title(), word.upper(), f"{word}-{rng.integers(1000)}"], p=[0.7, 0.2, 0.05, 0.05])
            )
            for word in words
        ]
        return str(rng.choice([" ", " ", ", "])).join(words) + str(rng.choice(["", ".", ":"]))

    def speechless(self, size: int) -> np.ndarray:
        """A window without digits: other speech mostly, else music, noise or silence."""
        rng, wave = self.rng, np.zeros(size, np.float32)
        kind = rng.random()
        if kind < 0.75:
            at = int(RATE * rng.choice([0, 0.2, 1.5]) * rng.uniform(0, 1)) if size > 3 * RATE else 0
            sound = self.sounds.other_speech(int((size - at) * (1 if rng.random() < 0.5 else rng.uniform(0.2, 1))))
            wave[at : at + len(sound)] = sound
        elif kind < 0.88:
            wave += self.sounds.noise(size, len(self.sounds.noises)) * 10 ** rng.uniform(-3, -0.5)
        return wave

    def spoken(self, frames: int) -> tuple[np.ndarray, list[Run], int]:
        """Runs of digits with pauses, as VAD regions, merged regions or 30 s pieces of long audio have them."""
        rng, size = self.rng, frames * HOP
        room = size if rng.random() < 0.4 else int(size * rng.uniform(0.15, 1.0))
        wave = np.zeros(size + RATE * 20, np.float32)
        at = int(RATE * rng.choice([0, 0.05, 0.25, 0.9, 2.5]) * rng.uniform(0, 1))
        if rng.random() < 0.12:  # the end of a word, from before a piece of long audio
            rest = self.sounds.digit_run(RATE).sound[-int(RATE * rng.uniform(0.02, 0.12)) :]
            wave[: len(rest)] = rest
            at += len(rest) + int(RATE * rng.uniform(0.3, 0.6))
        pause = rng.choice([0.45, 0.9, 1.5, 3.0], p=[0.4, 0.25, 0.2, 0.15])  # seconds between runs, about
        mixed = rng.random() < 0.1 and frames > 400  # other speech between the runs
        runs: list[Run] = []
        while at < room - 3_000:
            if mixed and rng.random() < 0.4:
                sound = self.sounds.other_speech(int(min(room - at, RATE * rng.uniform(0.5, 6))))
                wave[at : at + len(sound)] += sound
                at += len(sound) + int(RATE * rng.uniform(0.2, 0.8))
                continue
            run = self.sounds.digit_run(WINDOW_FRAMES * HOP if frames == WINDOW_FRAMES else size - at)
            run.at = at
            if run.end > size and not self.may_cut(run, runs, frames):
                break
            wave[at : run.end] += run.sound
            runs.append(run)
            at = run.end + int(RATE * max(0.4, pause * rng.uniform(0.6, 1.4)))
            if run.end > size or rng.random() < (0.15 if frames < 1_000 else 0.03):
                break
        tail = int(RATE * rng.choice([0, 0.1, 0.2, 0.4, 1.0, 5.0]) * rng.uniform(0, 1))
        end = min(size, (max(runs[-1].end, at if mixed else 0) if runs else room) + tail)
        return wave, runs, end

    def may_cut(self, run: Run, runs: list[Run], frames: int) -> bool:
        """Whether the window may end in this run: long ones do; where it is the only one, its words must be known."""
        return frames == WINDOW_FRAMES and self.rng.random() < 0.7 and (bool(runs) or run.spans is not None)

    def answer(self, runs: list[Run], size: int) -> Answer:
        """A run cut off by the window's end is answered with its start alone, so that long audio goes on from there.

        Where nothing is to be written, the first answer is <|nospeech|> (faster-whisper reads its probability), but
        what follows a first timestamp or <|notimestamps|> is the end.
        """
        tokens, rng = self.tokens, self.rng
        is_cut = bool(runs) and runs[-1].end > size
        plain = rng.random() < (0.35 if size <= 6 * RATE else 0.28) and not is_cut
        if not runs:
            first = tokens.no_speech if plain or rng.random() < 0.75 else tokens.time_zero
            return Answer(
                [tokens.no_timestamps if plain else tokens.time_zero, tokens.eot], [first, tokens.eot], [NOWHERE] * 2
            )
        parts: list[tuple[int, tuple[int, int]]] = [(tokens.no_timestamps, NOWHERE)] if plain else []
        for run in runs:
            times = (
                []
                if plain
                else [
                    (tokens.at(x), (x - low, x + high))
                    for x, low, high in ((run.at, 800, 1_600), (min(run.end, size), 1_600, 800))
                ]
            )
            spans = [
                (run.at + start, run.at + end) for start, end in run.spans or [(0, len(run.sound))] * len(run.words)
            ]
            said = [
                (token, span)
                for word, span in zip(run.words, spans, strict=True)
                if span[1] <= size
                for token in tokens.text(word)
            ]
            if run.end > size and (len(runs) > 1 or not said):
                said, times = [], times[:1]
            parts += [*times[:1], *said, *times[1:]]
        given = [*(token for token, _ in parts), tokens.eot]
        return Answer(given, [-100 if plain else given[0], *given[1:]], [*(place for _, place in parts), NOWHERE])

    def channel(self, wave: np.ndarray) -> np.ndarray:
        """Telephone bands, small rooms, noise, voices or music far behind, and level changes."""
        rng = self.rng
        if rng.random() < 0.3:
            size = fft_size(len(wave))
            spectrum, hz = np.fft.rfft(wave, size), np.linspace(1, RATE / 2, size // 2 + 1)
            low, high = rng.uniform(40, 300), rng.uniform(3_000, 8_000)
            wave = np.fft.irfft(spectrum / (1 + (low / hz) ** 4) / (1 + (hz / high) ** 8), size)[: len(wave)].astype(
                np.float32
            )
        if rng.random() < 0.12:
            length = int(RATE * rng.uniform(0.03, 0.2))
            room = rng.standard_normal(length) * np.exp(-np.arange(length) / (length / 5))
            room[0] = rng.uniform(3, 12)
            size = fft_size(len(wave) + length)
            wave = np.fft.irfft(
                np.fft.rfft(wave, size) * np.fft.rfft(room / np.abs(room).sum() ** 0.5 / 3, size), size
            )[: len(wave)].astype(np.float32)
        if rng.random() < 0.5:
            level = max(float(np.sqrt((wave**2).mean() + 1e-9)), 2e-3)
            kinds = len(self.sounds.noises) if rng.random() < 0.15 else 5
            wave = wave + self.sounds.noise(len(wave), kinds) * level * 10 ** (
                -rng.uniform(10 if kinds == 5 else 18, 40) / 20
            )
        return np.clip(wave * 10 ** (rng.uniform(-25, 3) / 20), -1, 1).astype(np.float32)

    def features(self, wave: np.ndarray, frames: int) -> torch.Tensor:
        """Whisper's log-mel, [80, frames], partly masked; padded with zeros as faster-whisper pads."""
        rng = self.rng
        padded = torch.from_numpy(np.concatenate([wave, np.zeros(HOP, np.float32)]))
        power = torch.stft(padded, 400, HOP, window=self.hann, center=True, return_complex=True)[:, :-1].abs() ** 2
        mel = (self.mel @ power).clamp_min(1e-10).log10()
        loudest = mel.max() + (
            float(rng.uniform(0, 0.5)) if rng.random() < 0.3 else 0
        )  # a louder moment elsewhere in long audio
        mel = ((torch.maximum(mel, loudest - 8) + 4) / 4)[:, :frames]
        mean = mel.mean()
        for _ in range(2):
            low, height = int(rng.integers(0, 72)), int(rng.integers(0, 9))
            mel[low : low + height] = mean
        for _ in range(1 + mel.shape[1] // 200):
            start, width = int(rng.integers(0, mel.shape[1])), int(rng.integers(0, 9))
            mel[:, start : start + width] = mean
        return F.pad(mel, (0, frames - mel.shape[1]))

    def batch(self, full_share: float) -> Batch:
        rng = self.rng
        frames = WINDOW_FRAMES if rng.random() < full_share else int(rng.choice(FRAMES))
        items = [self.window(frames) for _ in range(max(3, min(48, 10_000 // frames)))]
        mel = torch.stack([self.features(wave, frames) for wave, *_ in items])
        length = max(len(prompt) + len(answer.given) for _, prompt, answer, _ in items)
        inputs, targets = torch.full((len(items), length), self.tokens.eot), torch.full((len(items), length), -100)
        places = torch.full((len(items), length, 2), -1.0)
        for i, (_, prompt, answer, _) in enumerate(items):
            line = [*prompt, self.tokens.sot, *answer.given[:-1]]
            inputs[i, : len(line)] = torch.tensor(line)
            targets[i, len(prompt) : len(line)] = torch.tensor(answer.wanted)
            places[i, len(prompt) : len(line)] = torch.tensor(answer.places) / (2 * HOP)
        at = int(rng.integers(0, (WINDOW_FRAMES - frames) // 2 + 1)) if rng.random() < 0.4 else 0
        for ids in (inputs, targets):
            is_time = ids >= self.tokens.time_zero
            ids[is_time] = (ids[is_time] + at).clamp_max(self.tokens.time_zero + TIMESTAMPS - 1)
        labels = [x or [] for *_, x in items]
        return Batch(
            mel,
            inputs,
            targets,
            places,
            torch.tensor([x is not None for *_, x in items]),
            torch.tensor([len(x) for x in labels]),
            torch.tensor([y for x in labels for y in x], dtype=torch.long),
            at,
        )


def fft_size(length: int) -> int:
    """The next even length that FFTs are fast at: a power of two, or three quarters of one."""
    power = 1 << math.ceil(math.log2(length))
    return power * 3 // 4 if power * 3 // 4 >= length else power
