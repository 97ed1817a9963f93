"""Command lines: an argparse that says in one line what is wrong with one, and which name was probably meant."""

import argparse
import shutil
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, NoReturn

WIDTH_MAX = 110  # columns; longer lines are hard to read, and a pipe has no width of its own


class Help(argparse.HelpFormatter):
    """As wide as the terminal is, up to a limit."""

    def __init__(self, prog: str) -> None:
        columns = shutil.get_terminal_size((WIDTH_MAX + 1, 0)).columns
        super().__init__(prog, max_help_position=34, width=min(WIDTH_MAX, columns - 1))


class Parser(argparse.ArgumentParser):
    """
    Ends with exit code 2 and one line for a wrong command line; a usage dump would hide that line.

    Takes no beginnings of names: `--worker` for `--workers` is a slip as often as a wish.
    """

    def __init__(self, **how: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "formatter_class": Help, **how})

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse has it, but for what is said of an option that there is not."""
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            named = next((one for one in unknown if one.startswith("-")), None)
            self.error(self._no_option(named.partition("=")[0]) if named else f"{unknown[0]!r} was not expected")
        return options

    def error(self, message: str) -> NoReturn:
        """One line, and where the rest is."""
        self.exit(2, f"error: {message} ({self.prog} --help)\n")

    def _no_option(self, name: str) -> str:
        known = [option for action in self._actions for option in action.option_strings]
        return f"{name} is not an option{meant(name, known)}"


def meant(name: str, known: Iterable[str]) -> str:
    """`; did you mean --workers?` for `--wrokers`; empty where nothing is like it."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
