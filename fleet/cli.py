"""
The console script: one name for everything that the fleet can be asked to do.

Each command is a module with `main(argv) -> exit code`, started by name, so that this package imports none of the
others and a machine that only sends files needs none of their requirements. A command whose module is not part of this
installation is not offered.
"""

import importlib
import importlib.util
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from fleet import __version__, telemetry
from fleet.options import meant

EXIT_USAGE, EXIT_STARTUP, EXIT_INTERRUPTED = 2, 3, 130


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command lives, what it is for, the extra that brings what it imports, and what it imports late."""

    module: str
    text: str
    extra: str = ""
    later: tuple[str, ...] = ()


COMMANDS = {
    "up": Command("fleet.up", "a router and N workers on this machine, until Ctrl-C", "worker,router"),
    "router": Command("router.__main__", "one router process: the door and the queue", "router"),
    "worker": Command("worker.__main__", "one worker process: one model", "worker"),
    "keys": Command("router.keys_command", "add, list and revoke callers' keys, each with limits of its own", "router"),
    "status": Command("fleet.status", "what a running fleet is doing, as a table"),
    "transcribe": Command("fleet.transcribe", "send files to a running fleet"),
    "models": Command("worker.models.pull", "list the models, pull one ahead of time", "worker"),
    "size": Command("fleet.size", "how many workers a number of callers needs"),
    "loadtest": Command("loadtest.__main__", "put a fleet under load and report", "loadtest", ("locust", "matplotlib")),
    "bench": Command(
        "bench.__main__", "measure a fleet on this machine against bare engine loops", "test", ("matplotlib",)
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Start the named command with the rest of the options; its exit code."""
    telemetry.turn_off(os.environ)
    name, *rest = [*(sys.argv[1:] if argv is None else argv), ""][:-1] or [""]
    if name in ("", "-h", "--help", "help"):
        print(overview())
        return EXIT_USAGE if name == "" else 0
    if name in ("-V", "--version", "version"):
        print(f"whisper-fleet {__version__}")
        return 0
    command = COMMANDS.get(name)
    if command is None or not is_installed(command):
        reason = "is not part of this installation" if command else f"is not a command{meant(name, offered())}"
        print(f"error: {name!r} {reason.rstrip('?')}; there are: {', '.join(offered())}", file=sys.stderr)
        return EXIT_USAGE
    return _start(name, command, rest)


def overview() -> str:
    """The help of the whole script."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.text}" for name, command in offered().items()]
    return "\n".join(
        [
            "usage: whisper-fleet COMMAND [options]",
            "",
            "One OpenAI-compatible speech-to-text endpoint over a load-balanced fleet of Whisper workers.",
            "",
            "commands:",
            *lines,
            "",
            "whisper-fleet COMMAND --help names each option with its unit and default; --version prints the version.",
        ]
    )


def offered() -> dict[str, Command]:
    """The commands of this installation."""
    return {name: command for name, command in COMMANDS.items() if is_installed(command)}


def is_installed(command: Command) -> bool:
    """Whether its module is there; what the module needs may still be missing."""
    try:
        return importlib.util.find_spec(command.module) is not None
    except ModuleNotFoundError:
        return False


def _start(name: str, command: Command, argv: Sequence[str]) -> int:
    try:
        module = importlib.import_module(command.module)
    except ModuleNotFoundError as error:
        return _not_installed(name, command, error.name)
    missing = next((one for one in command.later if importlib.util.find_spec(one) is None), None)
    if missing is not None and not {"-h", "--help"} & set(argv):  # not after ten minutes of measuring
        return _not_installed(name, command, missing)
    try:
        return int(module.main(argv))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # who reads us has seen enough, as in `| head`; leave the last flush nothing to trip over
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_INTERRUPTED


def _not_installed(name: str, command: Command, package: str | None) -> int:
    # by this Python: another one's pip would put it elsewhere, or look for this project where it is not
    hint = f": {shlex.quote(sys.executable)} -m pip install 'whisper-fleet[{command.extra}]'" if command.extra else ""
    print(f"error: whisper-fleet {name} needs {package}, which is not installed{hint}", file=sys.stderr)
    return EXIT_STARTUP


if __name__ == "__main__":
    sys.exit(main())
