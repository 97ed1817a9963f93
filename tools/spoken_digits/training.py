"""The losses, the schedule, and what a checkpoint keeps."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tools.spoken_digits.network import GUIDED_HEADS, Whisper
from tools.spoken_digits.speech import Speech
from tools.spoken_digits.tokens import Tokens
from tools.spoken_digits.windows import Batch, Windows


class Stream(torch.utils.data.IterableDataset):
    """Batches without end, made in another process; it rests while the file `pause` exists."""

    def __init__(self, speech: Speech, tokens: Tokens, full_share: float, pause: Path) -> None:
        self.speech, self.tokens, self.full_share, self.pause = speech, tokens, full_share, pause

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        worker = torch.utils.data.get_worker_info()
        windows = Windows(self.speech, self.tokens, seed=(time.time_ns() + (worker.id if worker else 0)) % 2**31)
        while True:
            rest_while(self.pause, threading.Event())
            yield windows.batch(self.full_share)


def rest_while(pause: Path, is_stopped: threading.Event) -> None:
    while pause.exists() and not is_stopped.is_set():
        is_stopped.wait(2)


# --- training, export -------------------------------------------------------------------------------------


@dataclass
class Plan:
    """How long and how fast to train. Progress counts steps, so that a stopped or paused run loses nothing."""

    steps: int
    peak_lr: float
    full_share: float  # share of batches that are full 30 s windows
    threads: int
    workers: int

    def learning_rate(self, step: int) -> float:
        """A short rise, then half a cosine to nearly nothing."""
        return (
            self.peak_lr
            * min(1, (step + 1) / 200)
            * (0.495 * (1 + math.cos(math.pi * min(1, step / self.steps))) + 0.01)
        )


def misplaced(looks: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Minus the logarithm of the attention [B, heads, L, T] that falls where it should, on `places` [B, L, 2]."""
    frame = torch.arange(looks.shape[-1], device=looks.device)
    start, end = places[..., :1].floor().clamp(max=looks.shape[-1] - 2), places[..., 1:].ceil()
    inside = (frame >= start) & (frame <= end)
    known = places[..., 1] > 0
    mass = looks.masked_fill(~inside[:, None], -1e4).logsumexp(-1)
    return -(mass * known[:, None]).sum() / (known.sum() * looks.shape[1]).clamp_min(1)


class Training:
    """A network, its optimizer and the moving average of its weights: all that a checkpoint keeps."""

    def __init__(self, net: Whisper, plan: Plan) -> None:
        self.net, self.plan, self.step = net, plan, 0
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        net.to(self.device)
        self.optimizer = torch.optim.AdamW(
            net.parameters(), lr=plan.peak_lr, betas=(0.9, 0.98), weight_decay=0.05, fused=True
        )
        self.average = {name: tensor.clone() for name, tensor in net.state_dict().items()}

    def learn(self, batch: Batch) -> tuple[float, ...]:
        """One step; the losses of answer, encoder's words, where the decoder looks, each encoder frame's own time."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.learning_rate(self.step)
        mel, inputs, targets, places, has_labels, lengths, labels = (tensor.to(self.device) for tensor in batch[:-1])
        with torch.autocast(self.device, dtype=torch.bfloat16):
            logits, memory, looks = self.net(mel, inputs, batch.at)
            ctc = self.net.ctc(memory)
            some = torch.randint(memory.shape[1], (64,), device=memory.device)
            clock = memory[:, some] @ self.net.tsp(self.net.ps).T
        clock_loss = F.cross_entropy(clock.float().flatten(0, 1), (batch.at + some).repeat(len(mel)))
        frames = ctc.float().log_softmax(-1).transpose(0, 1)
        ctc_loss = F.ctc_loss(
            frames, labels, torch.full((len(lengths),), frames.shape[0]), lengths, reduction="none", zero_infinity=True
        )
        ctc_loss = (ctc_loss / (lengths + frames.shape[0] / 100) * has_labels).mean()
        answer_loss = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=-100)
        look_loss = misplaced(looks[0][:, :GUIDED_HEADS], F.pad(places, (0, 0, 1, 0), value=-1)[:, :-1]) + misplaced(
            looks[-1][:, :GUIDED_HEADS], places
        )
        self.optimizer.zero_grad()
        (answer_loss + 0.5 * ctc_loss + 0.7 * look_loss + 0.2 * clock_loss).backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        keep = min(0.998, (self.step + 1) / (self.step + 10))
        weights = self.net.state_dict()
        torch._foreach_lerp_(list(self.average.values()), [weights[name] for name in self.average], 1 - keep)
        return tuple(loss.item() for loss in (answer_loss, ctc_loss, look_loss, clock_loss))

    def save(self, out: Path) -> None:
        """Write the averaged weights (`weights.pt`) and everything else needed to go on, each in one move."""
        state = {
            "step": self.step,
            "net": self.net.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }
        for name, content in (("checkpoint.pt", state), ("weights.pt", self.average)):
            torch.save(content, out / f"{name}.part")
            (out / f"{name}.part").replace(out / name)

    def load(self, checkpoint: Path) -> None:
        state = torch.load(checkpoint)
        self.step, self.average = state["step"], state["average"]
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])


def train(training: Training, speech: Speech, tokens: Tokens, out: Path) -> None:
    plan, pause = training.plan, out / "PAUSE"
    loader = torch.utils.data.DataLoader(
        Stream(speech, tokens, plan.full_share, pause),
        batch_size=None,
        num_workers=plan.workers,
        prefetch_factor=4 if plan.workers else None,
    )
    batches, saved, losses = iter(loader), time.monotonic(), []
    is_stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: is_stopped.set())
    while training.step < plan.steps:
        rest_while(pause, is_stopped)
        if is_stopped.is_set():
            break
        losses.append(training.learn(next(batches)))
        if training.step % 50 == 0:
            parts = zip(("loss", "ctc", "look", "clock"), np.mean(losses, axis=0), strict=True)
            told = "  ".join(f"{name} {value:.4f}" for name, value in parts)
            print(f"{time.strftime('%H:%M:%S')}  step {training.step}  {told}", flush=True)
            losses = []
        if time.monotonic() - saved > 60:
            training.save(out)
            saved = time.monotonic()
    training.save(out)
