"""`whisper-fleet models`: what there is by name, and `models pull NAME` to have it before a worker needs it."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from fleet.options import Parser
from fleet.serve import EXIT_OK, EXIT_STARTUP, StartupError
from worker.models import catalogue, hub
from worker.settings import SCRIPTED_PREFIX

WIDE = 110  # columns of a terminal that has room for where each is pulled from, and of a pipe
HINT = """
Fetch one now: whisper-fleet models pull base
A worker fetches what is not here when it starts. MODEL also takes a Hub id, and
a directory with a CTranslate2 model."""


def main(argv: Sequence[str] | None = None) -> int:
    """List, or pull; 3 for a model that cannot be had."""
    options = _parser().parse_args(argv)
    if options.action == "list":
        print("\n".join(lines(options.model_dir, shutil.get_terminal_size((WIDE, 0)).columns)))
        print(HINT)
        return EXIT_OK
    if options.name.startswith(SCRIPTED_PREFIX):
        print("scripted: nothing to pull")
        return EXIT_OK
    try:
        with _bar(options.name) as on_progress:
            directory = catalogue.resolve(options.name, options.model_dir, on_progress=on_progress)
    except StartupError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_STARTUP
    print(directory)
    return EXIT_OK


def lines(cache: str | None, width: int) -> Iterator[str]:
    """A heading and a line a model; where it is pulled from only if that fits."""
    rows = [("model", "download", "here", "hears", "from"), *(_row(name, cache) for name in catalogue.names())]
    for name, size, here, hears, source in rows:
        line = f"{name:<18} {size:>8}  {here:<8}  {hears:<24}  {source}"
        yield (line if width >= WIDE else line[: line.rindex("  ")]).rstrip()


def _row(name: str, cache: str | None) -> tuple[str, str, str, str, str]:
    if name in catalogue.EMBEDDED_NAMES:
        return name, "none", "embedded", "English digits, no more", ""
    model = catalogue.HUB[name]
    here = "yes" if hub.is_here(model.repository, cache) else "no"
    return name, _size(model.size_mb), here, model.hears, model.repository


def _size(size_mb: int) -> str:
    return f"{size_mb} MB" if size_mb < 1000 else f"{size_mb / 1000:.1f} GB"


@contextmanager
def _bar(name: str) -> Iterator[hub.Progress]:
    """A progress bar on stderr, of the largest file where the Hub's client counts each by itself."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(f"fetching {name}", total=None, visible=False)

        def on_progress(done: int, total: int) -> None:
            if total >= (progress.tasks[0].total or 0):
                progress.update(bar, completed=done, total=total, visible=True)

        yield on_progress


def _parser() -> Parser:
    parser = Parser(prog="whisper-fleet models", description="The models that a worker can run.")
    actions = parser.add_subparsers(dest="action", metavar="list|pull")
    default = os.environ.get("MODEL_DIR")
    parser.set_defaults(action="list", model_dir=default)
    listing = actions.add_parser("list", help="names, sizes, which are here and what they hear (the default)")
    pull = actions.add_parser("pull", help="fetch a model now, with a progress bar; prints its directory")
    pull.add_argument(
        "name", metavar="NAME", help="a name of the list, or a Hub id such as Systran/faster-whisper-tiny"
    )
    for action in (listing, pull):
        action.add_argument(
            "--model-dir", default=default, help="where models are kept (MODEL_DIR; default: the Hub's own cache)"
        )
    return parser
