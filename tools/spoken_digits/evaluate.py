"""Measure a `spoken-digits` model directory as faster-whisper runs it, in three ways:

regions     one window per VAD region, audio context trimmed to the region (the worker's own way)
merged      VAD regions merged into windows of up to 30 s: BatchedInferencePipeline, without and with timestamps
sequential  WhisperModel.transcribe on 30 s windows, at temperature 0 and with the default temperatures

For each: words wrong, segment starts and ends against the clips' known times, and time taken. Then the same for
clips strung together from held-out recordings, single held-out digits, and recordings that hold no digits, which
must give no text.

    python -m tools.spoken_digits.evaluate MODEL --audio samples --recordings FSDD/recordings --speechless FOLDER
    python -m tools.spoken_digits.evaluate MODEL --weights weights.pt --audio samples  # exports the weights there first
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
import soundfile as sf
import soxr
import torch
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.audio import decode_audio, pad_or_trim
from faster_whisper.vad import VadOptions, get_speech_timestamps

from tools.spoken_digits.export import export
from tools.spoken_digits.network import Whisper
from tools.spoken_digits.speech import HELD_OUT
from tools.spoken_digits.tokens import RATE, WORDS, Tokens, make_tokenizer

VAD = {"threshold": 0.4, "min_speech_duration_ms": 60, "min_silence_duration_ms": 400, "speech_pad_ms": 200}


@dataclass
class Segment:
    start: float
    end: float
    text: str


@dataclass
class Clip:
    name: str
    audio: np.ndarray
    segments: list[Segment]

    @property
    def words(self) -> list[str]:
        return [word for segment in self.segments for word in segment.text.split()]


Way = Callable[[np.ndarray], list[Segment]]


# --- ways to run the model ----------------------------------------------------------------------------------


def regions(model: WhisperModel, audio: np.ndarray) -> list[Segment]:
    """
    Each VAD region alone, encoded with as many frames as it fills, rounded up to 50.

    Left out where it holds no speech by faster-whisper's own rule.
    """
    tokenizer = Tokens(make_tokenizer())
    found = []
    for span in get_speech_timestamps(audio, VadOptions(**VAD, max_speech_duration_s=29)):
        features = model.feature_extractor(audio[span["start"] : span["end"]])[..., :-1]
        frames = min(3_000, -(-features.shape[-1] // 50) * 50)
        storage = ctranslate2.StorageView.from_array(pad_or_trim(features, frames)[np.newaxis].copy())
        encoded = model.model.encode(storage)
        result = model.model.generate(
            encoded,
            [[tokenizer.sot, tokenizer.no_timestamps]],
            beam_size=5,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        if result.no_speech_prob > 0.6 and result.scores[0] < -1:  # as faster-whisper itself skips a window
            continue
        text = tokenizer.tokenizer.decode(result.sequences_ids[0]).strip()
        if text:
            found.append(Segment(span["start"] / RATE, span["end"] / RATE, text))
    return found


def segments_of(result: Iterable) -> list[Segment]:
    return [Segment(s.start, s.end, s.text.strip()) for s in result if s.text.strip()]


def ways_of(model: WhisperModel) -> dict[str, Way]:
    batched = BatchedInferencePipeline(model)
    return {
        "regions": lambda audio: regions(model, audio),
        "merged": lambda audio: segments_of(batched.transcribe(audio, vad_parameters=dict(VAD))[0]),
        "merged, timestamps": lambda audio: segments_of(
            batched.transcribe(audio, vad_parameters=dict(VAD), without_timestamps=False)[0]
        ),
        "sequential": lambda audio: segments_of(
            model.transcribe(audio, condition_on_previous_text=False, temperature=0)[0]
        ),
        "sequential, ladder": lambda audio: segments_of(model.transcribe(audio, condition_on_previous_text=False)[0]),
    }


# --- clips --------------------------------------------------------------------------------------------------


def known_clips(folder: Path) -> list[Clip]:
    """The clips of texts.json."""
    return [
        Clip(
            entry["file"],
            decode_audio(str(folder / entry["file"])),
            [Segment(**segment) for segment in entry["segments"]],
        )
        for entry in json.loads((folder / "texts.json").read_text())
    ]


def strung_clips(recordings: Path, count: int, seed: int = 7) -> list[Clip]:
    """Clips of one speaker each, 1 to 15 runs of digits with pauses of 0.5 to 2 s, from the held-out recordings."""
    rng = np.random.default_rng(seed)
    takes: dict[str, list[tuple[str, np.ndarray]]] = {}
    for path in sorted(recordings.glob("*.wav")):
        digit, speaker, index = path.stem.split("_")
        if int(index) in HELD_OUT:
            wave, rate = sf.read(path, dtype="float32")
            wave = soxr.resample(wave, rate, RATE)
            takes.setdefault(speaker, []).append((WORDS[int(digit)], wave / np.abs(wave).max() * 0.5))
    clips = []
    for number in range(count):
        speaker = sorted(takes)[number % len(takes)]
        parts, segments, at = [np.zeros(RATE // 4, np.float32)], [], RATE // 4
        for _ in range(int(rng.choice([1, 2, 4, 8, 15]))):
            words, start = [], at
            for _ in range(int(rng.integers(1, 7))):
                word, wave = takes[speaker][rng.integers(len(takes[speaker]))]
                gap = np.zeros(int(RATE * rng.uniform(0.03, 0.2)), np.float32)
                words.append(word)
                parts += [wave, gap]
                at += len(wave) + len(gap)
            segments.append(Segment(start / RATE, (at - len(gap)) / RATE, " ".join(words)))
            pause = np.zeros(int(RATE * rng.uniform(0.5, 2.0)), np.float32)
            parts.append(pause)
            at += len(pause)
        audio = np.concatenate(parts)
        clips.append(
            Clip(
                f"strung {number} {speaker}",
                audio + rng.standard_normal(len(audio)).astype(np.float32) * 0.001,
                segments,
            )
        )
    return clips


# --- measures -----------------------------------------------------------------------------------------------


def edits(wanted: list[str], heard: list[str]) -> int:
    """Fewest words to change, add or leave out."""
    row = list(range(len(heard) + 1))
    for i, want in enumerate(wanted, 1):
        diagonal, row[0] = row[0], i
        for j, word in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(diagonal + (want != word), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def time_errors(wanted: list[Segment], heard: list[Segment]) -> list[float]:
    """For each known start and end, seconds to the nearest one heard."""
    if not heard:
        return [9.9] * (2 * len(wanted))
    starts, ends = [s.start for s in heard], [s.end for s in heard]
    return [min(abs(s.start - x) for x in starts) for s in wanted] + [min(abs(s.end - x) for x in ends) for s in wanted]


def report(title: str, ways: dict[str, Way], clips: list[Clip], details: bool) -> None:
    total, seconds = sum(len(clip.words) for clip in clips), sum(len(clip.audio) for clip in clips) / RATE
    print(f"{title}: {len(clips)} clips, {seconds:.0f} s, {total} words", flush=True)
    for name, way in ways.items():
        wrong, started = 0, time.monotonic()
        errors: list[float] = []
        for clip in clips:
            heard = way(clip.audio)
            words = " ".join(segment.text for segment in heard).split()
            missed = edits(clip.words, words)
            late = time_errors(clip.segments, heard)
            wrong, errors = wrong + missed, errors + late
            if details and missed:
                print(f"    {clip.name}: {missed} wrong of {len(clip.words)}")
                print(f"      want {' '.join(clip.words)}\n      got  {' '.join(words)}")
        took = (time.monotonic() - started) / len(clips) * 1_000
        near = np.mean(np.array(errors) <= 0.2)
        times = f"times within 0.2 s {near:6.1%}, median {np.median(errors):.2f}, worst {max(errors):.2f}"
        print(f"  {name:20} words wrong {wrong:4} = {wrong / total:6.2%}   {times}   {took:.0f} ms a clip", flush=True)


def report_speechless(ways: dict[str, Way], files: list[Path]) -> None:
    sounds = {path.name: decode_audio(str(path)) for path in files}
    rng = np.random.default_rng(0)
    sounds |= {
        "silence": np.zeros(10 * RATE, np.float32),
        "noise": rng.standard_normal(10 * RATE).astype(np.float32) * 0.05,
    }
    print(f"no digits: {len(sounds)} recordings, {sum(map(len, sounds.values())) / RATE:.0f} s")
    for name, way in ways.items():
        heard = {file: " ".join(segment.text for segment in way(audio)) for file, audio in sounds.items()}
        spoken = {file: text for file, text in heard.items() if text}
        words = sum(len(text.split()) for text in spoken.values())
        print(f"  {name:20} {len(spoken)} gave text, {words} words: {spoken}", flush=True)


def single_digits(model: WhisperModel, recordings: Path) -> float:
    """Share of held-out lone digits that are transcribed right, padded to 3000 frames."""
    right = []
    for path in sorted(recordings.glob("*.wav")):
        digit, _, index = path.stem.split("_")
        if int(index) not in HELD_OUT:
            continue
        wave, rate = sf.read(path, dtype="float32")
        wave = np.pad(soxr.resample(wave, rate, RATE) / np.abs(wave).max() * 0.5, RATE // 10)
        heard = segments_of(model.transcribe(wave.astype(np.float32), temperature=0.0)[0])
        right.append(" ".join(s.text for s in heard) == WORDS[int(digit)])
    return float(np.mean(right))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="model directory")
    parser.add_argument("--weights", type=Path, help="weights to export to the model directory first")
    parser.add_argument("--audio", type=Path, required=True, help="folder of texts.json and its clips")
    parser.add_argument("--recordings", type=Path, help="the digit dataset's folder, for clips of held-out recordings")
    parser.add_argument("--strung", type=int, default=24, help="how many such clips")
    parser.add_argument("--speechless", type=Path, help="a folder of recordings without digits")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--regions-only", action="store_true", help="the first way only")
    parser.add_argument("--details", action="store_true", help="print what was wrong")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    if args.weights:
        tokenizer = make_tokenizer()
        net = Whisper(tokenizer.get_vocab_size())
        net.load_state_dict(torch.load(args.weights))
        export(net.eval(), tokenizer, args.model)
    model = WhisperModel(str(args.model), device="cpu", compute_type="int8", cpu_threads=args.threads)
    ways = ways_of(model) if not args.regions_only else {"regions": ways_of(model)["regions"]}
    report("test clips", ways, known_clips(args.audio), args.details)
    report_speechless(ways, sorted(args.speechless.glob("*")) if args.speechless else [])
    if args.recordings:
        report("strung from held-out recordings", ways, strung_clips(args.recordings, args.strung), args.details)
        print(f"lone held-out digits right: {single_digits(model, args.recordings):.1%}")


if __name__ == "__main__":
    main()
