"""
Train and export.

A run can be stopped (SIGTERM), suspended (SIGSTOP, or a file `PAUSE` in --out) and started again with the same command
at any time: it goes on from `checkpoint.pt`, written each minute, and its learning rate counts steps. `weights.pt`
holds the moving average of the weights, which is what is exported. `--speech` keeps the made and the other speech in
one file, so that the training itself can run where neither is to be had. Windows are made in another process.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch

from tools.spoken_digits.export import export
from tools.spoken_digits.network import Whisper
from tools.spoken_digits.speech import load_speech
from tools.spoken_digits.tokens import Tokens, make_tokenizer
from tools.spoken_digits.training import Plan, Training, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, required=True, help="the digit dataset's folder of WAV files")
    parser.add_argument(
        "--other", type=Path, help="speech without digits: a folder with a folder of recordings for each voice"
    )
    parser.add_argument(
        "--speech",
        type=Path,
        required=True,
        help="file that keeps the synthetic and the other speech; made if it is not there",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder of weights.pt, checkpoint.pt, pid and, in model/, the exported model",
    )
    parser.add_argument("--steps", type=int, default=6_000, help="steps in all, each of about 100 s of sound")
    parser.add_argument("--lr", type=float, default=5e-4, help="peak learning rate")
    parser.add_argument("--full-share", type=float, default=0.35, help="share of batches that are full 30 s windows")
    parser.add_argument("--threads", type=int, default=2, help="threads of the network's arithmetic")
    parser.add_argument("--workers", type=int, default=1, help="processes that make training windows")
    parser.add_argument("--resume", type=Path, help="weights.pt to start from; a checkpoint.pt in --out goes first")
    args = parser.parse_args()

    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    speech, tokenizer = load_speech(args.recordings, args.other, args.speech), make_tokenizer()
    (args.out / "pid").write_text(f"{os.getpid()}\n")
    tokens = Tokens(tokenizer)
    net = Whisper(tokens.size)
    if args.resume:
        net.load_state_dict(torch.load(args.resume))
    training = Training(net, Plan(args.steps, args.lr, args.full_share, args.threads, args.workers))
    if (args.out / "checkpoint.pt").exists():
        training.load(args.out / "checkpoint.pt")
    train(training, speech, tokens, args.out)
    if training.step == args.steps:  # else it was stopped; the same command goes on
        net.load_state_dict(training.average)
        export(net.cpu().eval(), tokenizer, args.out / "model")


if __name__ == "__main__":
    main()
