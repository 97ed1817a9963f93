"""Train and export `spoken-digits`, a small Whisper for spoken English digits.

Data: the Free Spoken Digit Dataset (a folder of `{digit}_{speaker}_{index}.wav`; indices 0..4 are held out)
and, for more voices, speech made here with espeak-ng and flite. Digits are strung together into windows of
2 to 30 s with pauses, speed, band, room and noise changes. The network is Whisper's own (log-mel, two
convolutions, pre-norm transformer, timestamp tokens), trained with cross-entropy on the decoder and a CTC loss
on the encoder, which is what makes so small a model find the words at all. Windows of many lengths are seen, so
that the model also works when fewer than 3000 mel frames are encoded. Two things make so little data enough: the
embedding of a timestamp token is a learned projection of the sinusoid of its position (a token and an encoder
frame are both 20 ms), and short windows are placed at random positions, so that all of the 30 s are learned.

    python tools/train_spoken_digits.py --recordings FSDD/recordings --speech speech.npz --out spoken-digits --minutes 240
    python tools/train_spoken_digits.py --recordings FSDD/recordings --speech speech.npz --out spoken-digits --evaluate

`--speech` keeps the made speech, so that the training itself can run where there is no espeak-ng or flite; it uses
a GPU when there is one (give it `--workers`, since making the windows costs about 4 ms of CPU each).

Needs torch, numpy, soundfile, soxr, tokenizers, faster-whisper (mel filters), ctranslate2; espeak-ng and flite.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import random
import subprocess
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import ctranslate2
import numpy as np
import soundfile as sf
import soxr
import torch
from ctranslate2.specs import whisper_spec
from faster_whisper.feature_extractor import FeatureExtractor
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from torch.nn import functional as F

WORDS = "zero one two three four five six seven eight nine".split()
RATE = 16_000
HOP = 160                   # samples in a mel frame
WINDOW_FRAMES = 3_000       # Whisper's 30 s
TIMESTAMPS = 1_501          # 0.00 s .. 30.00 s
HELD_OUT = range(5)         # recording indices never trained on
SPECIAL = ["endoftext", "startoftranscript", "translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]


# --- tokens -----------------------------------------------------------------------------------------------

def make_tokenizer() -> Tokenizer:
    """Byte-level BPE whose merges are the digit words, then Whisper's special and timestamp tokens."""
    rng = random.Random(0)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=320, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    tokenizer.train_from_iterator((" " + " ".join(rng.choice(WORDS) for _ in range(20)) for _ in range(500)), trainer)
    tokenizer.add_special_tokens([AddedToken(f"<|{name}|>", special=True) for name in SPECIAL])
    tokenizer.add_special_tokens([AddedToken(f"<|{i * 0.02:.2f}|>", special=True) for i in range(TIMESTAMPS)])
    return tokenizer


class Tokens:
    """The ids the trainer needs."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.size = tokenizer.get_vocab_size()
        self.eot, self.sot, _, _, _, self.prev, self.no_speech, self.no_timestamps = (
            tokenizer.token_to_id(f"<|{name}|>") for name in SPECIAL
        )
        self.time_zero = tokenizer.token_to_id("<|0.00|>")

    def text(self, words: str) -> list[int]:
        return self.tokenizer.encode(" " + words, add_special_tokens=False).ids

    def at(self, sample: int) -> int:
        return self.time_zero + min(TIMESTAMPS - 1, round(sample / RATE / 0.02))


# --- the network ------------------------------------------------------------------------------------------

class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.v, self.o = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.k = nn.Linear(width, width, bias=False)

    def forward(self, x: torch.Tensor, memory: torch.Tensor | None = None, causal: bool = False) -> torch.Tensor:
        memory = x if memory is None else memory
        batch, length, width = x.shape
        q, k, v = (t.view(batch, -1, self.heads, width // self.heads).transpose(1, 2) for t in (self.q(x), self.k(memory), self.v(memory)))
        return self.o(F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """Self-attention, cross-attention in the decoder, feed-forward; layer norm before each."""

    def __init__(self, width: int, heads: int, is_decoder: bool, dropout: float = 0.1) -> None:
        super().__init__()
        self.is_decoder = is_decoder
        self.n1, self.sa = nn.LayerNorm(width), Attention(width, heads)
        self.n3, self.f1, self.f2 = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dp = nn.Dropout(dropout)
        if is_decoder:
            self.n2, self.ca = nn.LayerNorm(width), Attention(width, heads)

    def forward(self, x: torch.Tensor, memory: torch.Tensor | None = None) -> torch.Tensor:
        x = x + self.dp(self.sa(self.n1(x), causal=self.is_decoder))
        if self.is_decoder:
            x = x + self.dp(self.ca(self.n2(x), memory))
        return x + self.dp(self.f2(F.gelu(self.f1(self.n3(x)))))


def sinusoids(length: int, width: int) -> torch.Tensor:
    rates = torch.exp(-math.log(10_000) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


class Whisper(nn.Module):
    """Whisper's architecture plus a CTC head that is dropped at export."""

    def __init__(self, vocabulary: int, width: int = 192, heads: int = 3, encoder_layers: int = 4, decoder_layers: int = 2) -> None:
        super().__init__()
        self.shape = (width, heads, encoder_layers, decoder_layers)
        self.c1, self.c2 = nn.Conv1d(80, width, 3, padding=1), nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.register_buffer("pe", sinusoids(WINDOW_FRAMES // 2, width))
        self.register_buffer("ps", sinusoids(TIMESTAMPS, width))
        self.tsp = nn.Linear(width, width)      # timestamp embeddings = tsp(ps)
        self.enc = nn.ModuleList(Block(width, heads, False) for _ in range(encoder_layers))
        self.ne = nn.LayerNorm(width)
        self.emb = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.emb.weight, std=0.02)
        self.pd = nn.Parameter(torch.randn(448, width) * 0.01)
        self.dec = nn.ModuleList(Block(width, heads, True) for _ in range(decoder_layers))
        self.nd, self.ctc = nn.LayerNorm(width), nn.Linear(width, len(WORDS) + 1)

    def embeddings(self) -> torch.Tensor:
        """All token embeddings, [vocabulary, width]; the last TIMESTAMPS rows are made, not stored."""
        return torch.cat([self.emb.weight[:-TIMESTAMPS], self.tsp(self.ps)])

    def encode(self, mel: torch.Tensor, at: int = 0) -> torch.Tensor:
        x = F.gelu(self.c2(F.gelu(self.c1(mel)))).transpose(1, 2)
        x = x + self.pe[at : at + x.shape[1]]
        for block in self.enc:
            x = block(x)
        return self.ne(x)

    def forward(self, mel: torch.Tensor, tokens: torch.Tensor, at: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits [B, L, vocabulary] and CTC logits [B, T/2, 11] of mel [B, 80, T] placed at encoder position `at`."""
        embeddings, memory = self.embeddings(), self.encode(mel, at)
        x = F.embedding(tokens, embeddings) + self.pd[: tokens.shape[1]]
        for block in self.dec:
            x = block(x, memory)
        return self.nd(x) @ embeddings.T, self.ctc(memory)


# --- speech -----------------------------------------------------------------------------------------------

@dataclass
class Speech:
    """Recordings by speaker and digit, connected synthetic digits, and speech that holds no digits."""

    digits: dict[str, dict[int, list[np.ndarray]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    strings: list[tuple[str, np.ndarray]] = field(default_factory=list)
    other: list[np.ndarray] = field(default_factory=list)
    held_out: list[tuple[int, str, np.ndarray]] = field(default_factory=list)


def synthesize(text: str, rng: random.Random) -> np.ndarray:
    """One utterance by a random espeak-ng or flite voice, float32 at 16 kHz, trimmed of silence."""
    if rng.random() < 0.5:
        voice = rng.choice(["en", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbclan"])
        voice += rng.choice(["", *(f"+m{i}" for i in range(1, 8)), *(f"+f{i}" for i in range(1, 6))])
        command = ["espeak-ng", "-v", voice, "-s", str(rng.randint(110, 210)), "-p", str(rng.randint(20, 80)), "--stdout", text]
    else:
        command = ["flite", "-voice", rng.choice(["awb", "kal16", "rms", "slt"]), "--setf", f"duration_stretch={rng.uniform(0.8, 1.3)}", "-t", text, "-o", "/dev/stdout"]
    wave, rate = sf.read(io.BytesIO(subprocess.run(command, capture_output=True, check=True).stdout), dtype="float32")
    wave = soxr.resample(wave, rate, RATE)
    loud = np.flatnonzero(np.abs(wave) > 0.02 * np.abs(wave).max())
    return wave[max(0, loud[0] - 160) : loud[-1] + 320]


def sentences(count: int, rng: random.Random) -> list[str]:
    """Plain English without digit words, from the standard library's own documentation."""
    import argparse, datetime, decimal, email, logging, threading

    words = " ".join(str(v.__doc__) for m in (argparse, datetime, decimal, email, logging, threading) for v in vars(m).values() if v.__doc__)
    plain = [w for w in "".join(c if c.isalpha() or c == " " else " " for c in words).split() if w.lower() not in WORDS]
    return [" ".join(plain[i : i + 9]) for i in (rng.randrange(len(plain) - 9) for _ in range(count))]


def synthetic(seed: int, cache: Path | None) -> list[tuple[str, np.ndarray]]:
    """Made speech as (text, wave): single digits, strings of digits, and (with empty text) plain sentences."""
    if cache and cache.exists():
        stored = np.load(cache)
        ends = np.cumsum(stored["lengths"])
        return [(str(text), stored["audio"][end - length : end].astype(np.float32) / 32_767) for text, length, end in zip(stored["texts"], stored["lengths"], ends, strict=True)]
    rng = random.Random(seed)
    texts = [word for word in WORDS for _ in range(60)]
    texts += [" ".join(rng.choices(WORDS, k=rng.choice([2, 3, 3, 4, 4, 5, 6, 7]))) for _ in range(800)]
    made = [(text, synthesize(text, rng)) for text in texts] + [("", synthesize(text, rng)) for text in sentences(120, rng)]
    if cache:
        np.savez_compressed(cache, texts=np.array([t for t, _ in made]), lengths=np.array([len(w) for _, w in made]), audio=np.concatenate([(w * 32_767).astype(np.int16) for _, w in made]))
    return made


def load_speech(recordings: Path, cache: Path | None, seed: int = 1) -> Speech:
    speech = Speech()
    for path in sorted(recordings.glob("*.wav")):
        digit, speaker, index = path.stem.split("_")
        wave, rate = sf.read(path, dtype="float32")
        wave = soxr.resample(wave, rate, RATE)
        wave = wave / max(1e-4, np.abs(wave).max())
        if int(index) in HELD_OUT:
            speech.held_out.append((int(digit), speaker, wave))
        else:
            speech.digits[speaker][int(digit)].append(wave)
    for text, wave in synthetic(seed, cache):
        if not text:
            speech.other.append(wave)
        elif " " in text:
            speech.strings.append((text, wave))
        else:
            speech.digits["synthetic"][WORDS.index(text)].append(wave / max(1e-4, np.abs(wave).max()))
    return speech


def resped(wave: np.ndarray, factor: float) -> np.ndarray:
    length = int(len(wave) / factor)
    return np.interp(np.arange(length) * factor, np.arange(len(wave)), wave).astype(np.float32)


class Windows:
    """Makes training examples: a window of audio and the tokens Whisper should answer."""

    def __init__(self, speech: Speech, tokens: Tokens, seed: int) -> None:
        self.speech, self.tokens, self.rng = speech, tokens, np.random.default_rng(seed)
        self.speakers = list(speech.digits)
        self.mel = torch.from_numpy(FeatureExtractor.get_mel_filters(RATE, 400, 80).astype(np.float32))
        self.hann = torch.hann_window(400)

    def digit_run(self) -> tuple[str, np.ndarray]:
        """Digits said in one breath: their text and their sound."""
        rng = self.rng
        if rng.random() < 0.18 and self.speech.strings:
            text, wave = self.speech.strings[rng.integers(len(self.speech.strings))]
            return text, resped(wave, rng.uniform(0.85, 1.15))
        one_voice = self.speakers[rng.integers(len(self.speakers))] if rng.random() < 0.85 else None
        pace, gap = rng.uniform(0.82, 1.2), rng.choice([0.02, 0.06, 0.12, 0.2, 0.3])
        words, parts = [], []
        for _ in range(int(rng.choice([1, 1, 2, 3, 3, 4, 4, 5, 7, 10]))):
            digit = int(rng.integers(10))
            takes = self.speech.digits[one_voice or self.speakers[rng.integers(len(self.speakers))]][digit]
            parts.append(resped(takes[rng.integers(len(takes))], pace * rng.uniform(0.95, 1.05)) * rng.uniform(0.7, 1))
            parts.append(np.zeros(int(RATE * gap * rng.uniform(0.3, 1.2)), np.float32))
            words.append(WORDS[digit])
        return " ".join(words), np.concatenate(parts[:-1])

    def window(self, frames: int) -> tuple[np.ndarray, list[int], list[int], list[int] | None]:
        """Audio of at most `frames`, prompt tokens, answer tokens, CTC labels (None where the end is cut off)."""
        rng, tokens, size = self.rng, self.tokens, frames * HOP
        room = size if rng.random() < 0.3 else int(size * rng.uniform(0.3, 1.0))
        wave = np.zeros(size + RATE * 12, np.float32)
        at = int(RATE * rng.choice([0, 0.05, 0.2, 0.5, 1.2]) * rng.uniform(0, 1))
        runs: list[tuple[int, int | None, str]] = []
        if rng.random() < 0.07:                                  # nothing to transcribe
            if rng.random() < 0.6 and self.speech.other:
                other = self.speech.other[rng.integers(len(self.speech.other))][:size]
                wave[: len(other)] = other * rng.uniform(0.1, 1)
            at = room
        while at < room - 3_000:
            text, sound = self.digit_run()
            sound = sound * rng.uniform(0.4, 1)
            if at + len(sound) > size:
                if frames == WINDOW_FRAMES and rng.random() < 0.7:   # speech runs past the window, as in long audio
                    wave[at : at + len(sound)] += sound[: len(wave) - at]
                    runs.append((at, None, text))
                break
            wave[at : at + len(sound)] += sound
            runs.append((at, at + len(sound), text))
            at += len(sound) + int(RATE * rng.uniform(0.55, 2.0))
            if rng.random() < 0.25:
                break
        is_cut = bool(runs) and runs[-1][1] is None
        tail = int(RATE * rng.choice([0, 0.1, 0.4, 1.0]) * rng.uniform(0, 1))
        end = size if is_cut else min(size, (runs[-1][1] if runs else room) + tail)
        labels = None if is_cut else [WORDS.index(w) + 1 for _, _, text in runs for w in text.split()]
        prompt = [tokens.prev, *tokens.text(" ".join(WORDS[i] for i in rng.integers(0, 10, rng.integers(1, 25))))] if rng.random() < 0.25 else []
        return self.channel(wave[: max(end, 1_600)]), prompt, self.answer(runs, is_cut), labels

    def answer(self, runs: list[tuple[int, int | None, str]], is_cut: bool) -> list[int]:
        tokens = self.tokens
        if not runs:
            return [[tokens.no_speech], [tokens.no_timestamps], [tokens.no_speech], [tokens.time_zero]][self.rng.integers(4)] + [tokens.eot]
        if self.rng.random() < 0.3 and not is_cut:
            return [tokens.no_timestamps, *tokens.text(" ".join(text for _, _, text in runs)), tokens.eot]
        answer = []
        for start, end, text in runs:
            answer.append(tokens.at(start))
            if end is not None:
                answer += [*tokens.text(text), tokens.at(end)]
        return [*answer, tokens.eot]

    def channel(self, wave: np.ndarray) -> np.ndarray:
        """Telephone bands, small rooms, noise and level changes."""
        rng = self.rng
        if rng.random() < 0.3:
            spectrum, hz = np.fft.rfft(wave), np.linspace(1, RATE / 2, len(wave) // 2 + 1)
            low, high = rng.uniform(40, 300), rng.uniform(3_000, 8_000)
            wave = np.fft.irfft(spectrum / (1 + (low / hz) ** 4) / (1 + (hz / high) ** 8), len(wave)).astype(np.float32)
        if rng.random() < 0.12:
            length = int(RATE * rng.uniform(0.03, 0.2))
            room = rng.standard_normal(length) * np.exp(-np.arange(length) / (length / 5))
            room[0] = rng.uniform(3, 12)
            size = 1 << int(np.ceil(np.log2(len(wave) + length)))
            wave = np.fft.irfft(np.fft.rfft(wave, size) * np.fft.rfft(room / np.abs(room).sum() ** 0.5 / 3, size), size)[: len(wave)].astype(np.float32)
        if rng.random() < 0.5:
            level = max(float(np.sqrt((wave**2).mean() + 1e-9)), 2e-3)
            wave = wave + self.noise(len(wave)) * level * 10 ** (-rng.uniform(10, 40) / 20)
        return np.clip(wave * 10 ** (rng.uniform(-25, 3) / 20), -1, 1).astype(np.float32)

    def noise(self, length: int) -> np.ndarray:
        """White, pink or brown, of unit power."""
        white = self.rng.standard_normal(length)
        bend = self.rng.choice([0, 0.5, 1])
        spectrum = np.fft.rfft(white)
        coloured = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1) ** bend, length)
        return (coloured / (coloured.std() + 1e-9)).astype(np.float32)

    def features(self, wave: np.ndarray, frames: int, masked: bool = False) -> torch.Tensor:
        """Whisper's log-mel, [80, frames]; padded with zeros as faster-whisper pads."""
        padded = torch.from_numpy(np.concatenate([wave, np.zeros(HOP, np.float32)]))
        power = torch.stft(padded, 400, HOP, window=self.hann, center=True, return_complex=True)[:, :-1].abs() ** 2
        mel = (self.mel @ power).clamp_min(1e-10).log10()
        mel = ((torch.maximum(mel, mel.max() - 8) + 4) / 4)[:, :frames]
        if masked:
            height, width = int(self.rng.integers(0, 10)), int(self.rng.integers(0, 9))
            low, start = int(self.rng.integers(0, 80 - height)), int(self.rng.integers(0, max(1, mel.shape[1] - width)))
            mel[low : low + height] = mel.mean()
            mel[:, start : start + width] = mel.mean()
        return F.pad(mel, (0, frames - mel.shape[1]))

    def batch(self, full_share: float) -> tuple[torch.Tensor | int, ...]:
        """mel [B, 80, T], decoder input [B, L], targets [B, L] (-100 ignored), CTC mask [B], lengths [B], labels [sum], position."""
        frames = WINDOW_FRAMES if self.rng.random() < full_share else int(self.rng.choice([150, 200, 300, 400, 500, 600, 800, 1000, 1200]))
        items = [self.window(frames) for _ in range(max(4, min(40, 10_000 // frames)))]
        mel = torch.stack([self.features(wave, frames, masked=True) for wave, *_ in items])
        length = max(len(prompt) + len(answer) for _, prompt, answer, _ in items)
        inputs, targets = torch.full((len(items), length), self.tokens.eot), torch.full((len(items), length), -100)
        for i, (_, prompt, answer, _) in enumerate(items):
            line = [*prompt, self.tokens.sot, *answer]
            inputs[i, : len(line) - 1] = torch.tensor(line[:-1])
            targets[i, len(prompt) : len(line) - 1] = torch.tensor(line[len(prompt) + 1 :])
        at = int(self.rng.integers(0, (WINDOW_FRAMES - frames) // 2 + 1)) if self.rng.random() < 0.6 else 0
        for ids in (inputs, targets):
            is_time = ids >= self.tokens.time_zero
            ids[is_time] = (ids[is_time] + at).clamp_max(self.tokens.time_zero + TIMESTAMPS - 1)
        labels = [x or [] for *_, x in items]
        return (mel, inputs, targets, torch.tensor([x is not None for *_, x in items]),
                torch.tensor([len(x) for x in labels]), torch.tensor([y for x in labels for y in x], dtype=torch.long), at)


class Stream(torch.utils.data.IterableDataset):
    def __init__(self, speech: Speech, tokens: Tokens, full_share: float) -> None:
        self.speech, self.tokens, self.full_share = speech, tokens, full_share

    def __iter__(self):
        torch.set_num_threads(1)
        windows = Windows(self.speech, self.tokens, seed=(time.time_ns() + torch.utils.data.get_worker_info().id) % 2**31)
        while True:
            yield windows.batch(self.full_share)


# --- training, export -------------------------------------------------------------------------------------

def train(net: Whisper, speech: Speech, tokens: Tokens, minutes: float, peak_lr: float, full_share: float, workers: int, save: Path) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net.to(device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=peak_lr, betas=(0.9, 0.98), weight_decay=0.05)
    batches = iter(torch.utils.data.DataLoader(Stream(speech, tokens, full_share), batch_size=None, num_workers=workers, prefetch_factor=4))
    start, step = time.monotonic(), 0
    while (done := (time.monotonic() - start) / (minutes * 60)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = peak_lr * min(1, (step + 1) / 200) * (0.49 * (1 + math.cos(math.pi * done)) + 0.02)
        *tensors, at = next(batches)
        mel, inputs, targets, has_labels, lengths, labels = (tensor.to(device) for tensor in tensors)
        with torch.autocast(device, dtype=torch.bfloat16):
            logits, ctc = net(mel, inputs, at)
        frames = ctc.float().log_softmax(-1).transpose(0, 1)
        ctc_loss = F.ctc_loss(frames, labels, torch.full((len(lengths),), frames.shape[0]), lengths, reduction="none", zero_infinity=True)
        loss = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=-100) + 0.5 * (ctc_loss / lengths.clamp_min(1) * has_labels).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 100 == 0:
            print(f"step {step}  {time.monotonic() - start:.0f} s  loss {loss.item():.3f}", flush=True)
            torch.save(net.state_dict(), save)
    net.cpu()
    torch.save(net.state_dict(), save)


def export(net: Whisper, tokenizer: Tokenizer, out: Path) -> None:
    """Write the CTranslate2 model directory that faster-whisper loads, weights in int8."""
    width, heads, encoder_layers, decoder_layers = net.shape
    weights = {name: tensor.float().numpy() for name, tensor in net.state_dict().items()}
    weights["emb.weight"] = net.embeddings().detach().numpy()
    spec = whisper_spec.WhisperSpec(encoder_layers, heads, decoder_layers, heads)

    def norm(target, name):
        target.gamma, target.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]

    def linear(target, *names):
        target.weight = np.concatenate([weights[f"{n}.weight"] for n in names])
        target.bias = np.concatenate([weights.get(f"{n}.bias", np.zeros(width, np.float32)) for n in names])

    def self_attention(target, name):
        norm(target.layer_norm, f"{name}.n1")
        linear(target.linear[0], *(f"{name}.sa.{x}" for x in "qkv"))
        linear(target.linear[1], f"{name}.sa.o")

    def feed_forward(target, name):
        norm(target.layer_norm, f"{name}.n3")
        linear(target.linear_0, f"{name}.f1")
        linear(target.linear_1, f"{name}.f2")

    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = weights["c1.weight"], weights["c1.bias"]
    encoder.conv2.weight, encoder.conv2.bias = weights["c2.weight"], weights["c2.bias"]
    encoder.position_encodings.encodings = weights["pe"]
    norm(encoder.layer_norm, "ne")
    for i, layer in enumerate(encoder.layer):
        self_attention(layer.self_attention, f"enc.{i}")
        feed_forward(layer.ffn, f"enc.{i}")
    decoder.embeddings.weight = weights["emb.weight"]
    decoder.projection.weight = decoder.embeddings.weight
    decoder.position_encodings.encodings = weights["pd"]
    norm(decoder.layer_norm, "nd")
    for i, layer in enumerate(decoder.layer):
        name = f"dec.{i}"
        self_attention(layer.self_attention, name)
        norm(layer.attention.layer_norm, f"{name}.n2")
        linear(layer.attention.linear[0], f"{name}.ca.q")
        linear(layer.attention.linear[1], f"{name}.ca.k", f"{name}.ca.v")
        linear(layer.attention.linear[2], f"{name}.ca.o")
        feed_forward(layer.ffn, name)

    vocabulary = tokenizer.get_vocab()
    spec.register_vocabulary(sorted(vocabulary, key=vocabulary.__getitem__))
    spec.config.suppress_ids, spec.config.suppress_ids_begin, spec.config.lang_ids = [], [], []
    spec.config.alignment_heads = [(decoder_layers - 1, head) for head in range(heads)]
    spec.validate()
    spec.optimize(quantization="int8")
    out.mkdir(parents=True, exist_ok=True)
    spec.save(str(out))
    tokenizer.save(str(out / "tokenizer.json"))
    (out / "preprocessor_config.json").write_text(json.dumps({"feature_size": 80, "sampling_rate": RATE, "hop_length": HOP, "n_fft": 400, "chunk_length": 30}))


def evaluate(model_dir: Path, speech: Speech) -> float:
    """Share of held-out single digits that faster-whisper transcribes right."""
    from faster_whisper import WhisperModel

    model, right = WhisperModel(str(model_dir), device="cpu", compute_type="int8"), 0
    silence = np.zeros(RATE // 10, np.float32)
    for digit, _, wave in speech.held_out:
        segments, _ = model.transcribe(np.concatenate([silence, wave * 0.5, silence]), beam_size=5, temperature=0.0)
        right += " ".join(s.text.strip() for s in segments) == WORDS[digit]
    return right / len(speech.held_out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, required=True, help="the dataset's folder of WAV files")
    parser.add_argument("--speech", type=Path, help="file that keeps the synthetic speech; made if it is not there")
    parser.add_argument("--out", type=Path, required=True, help="folder of the exported model; weights.pt is kept beside it")
    parser.add_argument("--minutes", type=float, default=240, help="training time")
    parser.add_argument("--lr", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--full-share", type=float, default=0.2, help="share of batches that are full 30 s windows")
    parser.add_argument("--workers", type=int, default=1, help="processes that make training windows")
    parser.add_argument("--resume", type=Path, help="weights.pt to go on from")
    parser.add_argument("--evaluate", action="store_true", help="only measure the exported model")
    args = parser.parse_args()

    speech, tokenizer = load_speech(args.recordings, args.speech), make_tokenizer()
    if not args.evaluate:
        tokens = Tokens(tokenizer)
        net = Whisper(tokens.size)
        if args.resume:
            net.load_state_dict(torch.load(args.resume))
        weights = args.out.with_suffix(".pt")
        train(net, speech, tokens, args.minutes, args.lr, args.full_share, args.workers, weights)
        export(net, tokenizer, args.out)
    print(f"held-out single digits right: {evaluate(args.out, speech):.1%}")


if __name__ == "__main__":
    main()
