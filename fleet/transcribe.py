"""`whisper-fleet transcribe`: send files to a running fleet, several at once, with a bar for each."""

import argparse
import asyncio
import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from fleet import remote, transcribe_job, wire
from fleet.fields import ResponseFormat
from fleet.options import Parser
from fleet.transcribe_job import Way

EXTENSIONS = {"json": ".json", "verbose_json": ".json", "text": ".txt", "srt": ".srt", "vtt": ".vtt"}
EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
BUSY_TRIES = 10  # a busy fleet says when to come back
NOTES = {wire.IGNORED: "means nothing to this model", wire.WARNINGS: "damaged audio"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wanted of every file."""

    url: str
    fields: dict[str, str]
    extension: str
    output_dir: Path | None
    way: Way = Way.LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One file's answer, or the sentence about why there is none."""

    path: Path
    body: bytes = b""
    error: str | None = None


class CountedFile(io.BufferedReader):
    """A file that tells how many of its bytes have been read, and of how many: the upload's progress."""

    def __init__(self, path: Path, on_read: Callable[[int, int], None]) -> None:
        super().__init__(io.FileIO(path))
        self._size_bytes = os.fstat(self.fileno()).st_size
        self._read_bytes = 0
        self._on_read = on_read

    def read(self, size: int | None = -1) -> bytes:
        """Read and tell."""
        chunk = super().read(size)
        self._read_bytes += len(chunk)
        self._on_read(self._read_bytes, self._size_bytes)
        return chunk


def main(argv: Sequence[str] | None = None) -> int:
    """Transcribe the files; 0 if all went well, 1 if any failed, 2 for a wrong call."""
    options = _parser().parse_args(argv)
    extension = EXTENSIONS[options.format]
    stems = [path.stem for path in options.files]
    if options.output_dir and len(set(stems)) < len(stems):
        print("error: two of the files would be written to the same name", file=sys.stderr)
        return EXIT_USAGE
    try:
        if options.output_dir:
            options.output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"error: {options.output_dir}: {error.strerror}", file=sys.stderr)
        return EXIT_USAGE
    fields = {"model": options.model, "response_format": options.format}
    fields |= {name: value for name in ("language", "prompt") if (value := getattr(options, name))}
    wish = Wish(url=options.url, fields=fields, extension=extension, output_dir=options.output_dir, way=options.way)
    try:
        outcomes = asyncio.run(_send_all(options.files, wish, options))
    except remote.RemoteError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    are_here = [_deliver(outcome, wish, is_one_of_several=len(outcomes) > 1) for outcome in outcomes]
    return EXIT_OK if all(are_here) else EXIT_FAILED


def _parser() -> Parser:
    parser = Parser(prog="whisper-fleet transcribe", description="Send files to a running fleet.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="audio or video file")
    parser.add_argument(
        "--format", choices=[*map(str, ResponseFormat)], default="text", help="of the answer (default: text)"
    )
    parser.add_argument("--language", help="language of the speech, such as en or english (default: detected)")
    parser.add_argument("--prompt", help="text that comes before, or names that may occur (default: none)")
    parser.add_argument("--model", default="whisper-1", help="model (default: whisper-1, the fleet's own)")
    parser.add_argument("--output-dir", type=Path, metavar="DIR", help="write FILE.txt, .srt ... here, not to stdout")
    transcribe_job.add_options(parser)
    parser.add_argument("--parallel", type=int, default=4, metavar="N", help="files sent at once (default: 4)")
    parser.add_argument("--timeout", type=float, default=3600, metavar="S", help="seconds a file (default: 3600)")
    remote.add_options(parser)
    return parser


async def _send_all(files: Sequence[Path], wish: Wish, options: argparse.Namespace) -> list[Outcome]:
    at_once = asyncio.Semaphore(max(1, options.parallel))
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[phase]}"), TimeElapsedColumn())
    console = Console(stderr=True)
    async with remote.session(wish.url, options.key, options.timeout) as http:
        with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_send(path, wish, http, at_once, progress)) for path in files]
    return [task.result() for task in tasks]


async def _send(
    path: Path, wish: Wish, http: aiohttp.ClientSession, at_once: asyncio.Semaphore, progress: Progress
) -> Outcome:
    async with at_once:
        bar = progress.add_task(path.name, phase="upload")
        try:
            body = await _post(path, wish, http, progress, bar)
        except (aiohttp.ClientError, TimeoutError, remote.RemoteError) as error:
            return Outcome(path=path, error=await _explained(error, wish, http))
        except OSError as error:  # after the network's own: the file
            return Outcome(path=path, error=error.strerror or str(error))
        progress.update(bar, total=1, completed=1, phase="done")
        return Outcome(path=path, body=body)


async def _explained(error: Exception, wish: Wish, http: aiohttp.ClientSession) -> str:
    """The sentence; where the model is not loaded, with those that are."""
    if isinstance(error, remote.RemoteError) and error.code == "model_not_found":
        with suppress(aiohttp.ClientError, TimeoutError, ValueError, remote.RemoteError):  # then the fleet's own words
            loaded = ", ".join(await remote.models_of(http))
            return f"model {wish.fields['model']!r} is not loaded; --model may be one of: {loaded}"
    return str(remote.explained(error, wish.url))


async def _post(path: Path, wish: Wish, http: aiohttp.ClientSession, progress: Progress, bar: TaskID) -> bytes:
    """Upload and wait; a busy fleet is asked again when it said so."""

    def on_read(read_bytes: int, size_bytes: int) -> None:
        if read_bytes < size_bytes:
            progress.update(bar, total=size_bytes, completed=read_bytes, phase="upload")
        else:
            progress.update(bar, total=None, phase="transcribing")

    def on_progress(progress_ratio: float, phase: str) -> None:
        progress.update(bar, total=1, completed=progress_ratio, phase=phase)

    if wish.way is Way.RESUME:
        return await transcribe_job.wait(http, path.name, on_progress)
    console = progress.console
    is_job = wish.way is Way.JOB
    send = transcribe_job.sender(path.name, on_progress, console) if is_job else _sender(path.name, console)
    for tries_left in range(BUSY_TRIES - 1, -1, -1):
        try:
            with CountedFile(path, on_read) as file:
                form = aiohttp.FormData(wish.fields)
                form.add_field("file", file, filename=path.name)
                return await send(http, form)
        except remote.RemoteError as error:
            if error.retry_after_s is None or not tries_left:
                raise
            progress.update(bar, phase=f"busy, again in {error.retry_after_s:.0f} s")
            await asyncio.sleep(error.retry_after_s)
    raise AssertionError("the last try returns or raises")


def _sender(name: str, console: Console) -> transcribe_job.Send:
    async def send(http: aiohttp.ClientSession, form: aiohttp.FormData) -> bytes:
        async with http.post("v1/audio/transcriptions", data=form) as response:
            for header, note in NOTES.items():
                if said := response.headers.get(header):
                    console.print(f"note: {name}: {said}: {note}", markup=False, highlight=False, soft_wrap=True)
            return await remote.body_of(response)

    return send


def _deliver(outcome: Outcome, wish: Wish, *, is_one_of_several: bool) -> bool:
    """Show one answer, or write it; false, and the sentence about why not, where there is none to show."""
    if outcome.error is not None:
        print(f"error: {outcome.path}: {outcome.error}", file=sys.stderr)
        return False
    if wish.output_dir is not None:
        return _written(wish.output_dir / f"{outcome.path.stem}{wish.extension}", outcome.body)
    if is_one_of_several:
        print(f"== {outcome.path} ==")
    text = outcome.body.decode()
    print(text, end="" if text.endswith("\n") else "\n")
    return True


def _written(target: Path, body: bytes) -> bool:
    try:
        target.write_bytes(body)
    except OSError as error:  # one that cannot be written is no reason to lose the others
        print(f"error: {target}: {error.strerror}", file=sys.stderr)
        return False
    print(target)
    return True
