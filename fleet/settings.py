"""
Environment and options -> one frozen record.

A settings class is a frozen dataclass whose fields are made by `setting()`. Each is an environment variable and, the
same name in kebab case, an option; options win. A wrong value is one sentence that names the variable.
"""

import argparse
import math
import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, field, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from fleet.options import Parser

Settings = TypeVar("Settings")

TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off", "")


class SettingError(Exception):
    """A setting that cannot be used; the message names it."""


def setting(
    default: Any,
    text: str,
    *,
    unit: str = "",
    least: float | None = None,
    most: float | None = None,
    also: Sequence[str] = (),
    choices: Sequence[str] = (),
) -> Any:
    """A field with its default, one line of help, unit and bounds. `also` lists other names of the variable."""
    about = {"text": text, "unit": unit, "least": least, "most": most, "also": tuple(also), "choices": tuple(choices)}
    return field(default=default, metadata=about)


def load(kind: type[Settings], environ: Mapping[str, str], argv: Sequence[str] = (), *, prog: str = "") -> Settings:
    """
    Read the record from options, then environment, then defaults.

    Raises SettingError. `--help` prints every setting with unit and default, and exits.
    """
    return load_beside(kind, (), environ, argv, prog=prog)[0]


def load_beside(
    kind: type[Settings],
    others: Sequence[type[Any]],
    environ: Mapping[str, str],
    argv: Sequence[str],
    *,
    prog: str,
    but: Collection[str] = (),
) -> tuple[Settings, dict[str, str]]:
    """
    The same, where the settings of `others` (less those named in `but`) are options too, which `--help` leaves out.

    Those given come back as the environment of whoever reads them, unchecked. Raises SettingError.
    """
    types_by_name = get_type_hints(kind)
    parser = parser_of(kind, prog)
    own = {one.name for one in _fields_of(kind)}
    hidden = {one.name: one for other in others for one in _fields_of(other) if one.name.upper() not in but}
    theirs = {name: one for name, one in hidden.items() if name not in own}
    for one in theirs.values():
        _add_option(parser, one, argparse.SUPPRESS)
    options = vars(parser.parse_args(argv))
    values: dict[str, Any] = {}
    for one in _fields_of(kind):
        given = options[one.name] if options[one.name] is not None else _from_environ(one, environ)
        if given is not None:
            values[one.name] = parse(given, types_by_name[one.name], one)
    passed_on = {name.upper(): options[name] for name in theirs if options[name] is not None}
    return kind(**values), passed_on


def names_of(kind: type[Any]) -> Iterator[str]:
    """Every variable that is read for this record."""
    for one in _fields_of(kind):
        yield from (one.name.upper(), *one.metadata["also"])


def parser_of(kind: type[Any], prog: str = "") -> Parser:
    """An option for every field."""
    types_by_name = get_type_hints(kind)
    names = [one.name for one in _fields_of(kind)]
    shown = max(names, key=lambda name: "_" in name)  # the first of two words, which shows what becomes of the dash
    parser = Parser(
        prog=prog or None,
        description=(kind.__doc__ or "").strip(),
        epilog="Each option may be given as an environment variable of the same name: "
        f"{_option(shown)} is {shown.upper()}.",
    )
    for one in _fields_of(kind):
        unit = f" [{one.metadata['unit']}]" if one.metadata["unit"] else ""
        default = "unset" if one.default is None else _shown(one.default)
        text = f"{one.metadata['text']}{unit} (default: {default})".replace("%", "%%")
        _add_option(parser, one, text, _metavar(one, types_by_name[one.name]))
    return parser


def _add_option(parser: Parser, one: Field[Any], text: str, metavar: str | None = None) -> None:
    flag: dict[str, Any] = {"nargs": "?", "const": "true"} if isinstance(one.default, bool) else {}
    parser.add_argument(_option(one.name), dest=one.name, metavar=metavar, help=text, **flag)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _metavar(one: Field[Any], kind: Any) -> str:
    """What the help shows for the value: by its type and unit, or the name where that is a word of its own."""
    kinds = {kind, *get_args(kind)}
    if one.metadata["choices"]:
        return "|".join(one.metadata["choices"])
    if bool in kinds:
        return "true|false"
    if kinds & {int, float}:
        return {"s": "SECONDS", "MB": "MB"}.get(one.metadata["unit"], "N")
    last = one.name.rpartition("_")[2]
    kept = last == one.name or last in ("url", "file", "dir", "id", "token")
    return last.upper() if kept else "TEXT"


def parse(text: str, wanted: Any, one: Field[Any]) -> Any:
    """One value of the wanted type, within its bounds; raises SettingError."""
    name = one.name.upper()
    if get_origin(wanted) in (Union, types.UnionType):
        if not text:
            return None
        wanted = next(arg for arg in get_args(wanted) if arg is not type(None))
    if one.metadata["choices"] and text not in one.metadata["choices"]:
        raise SettingError(f"{name} must be one of {', '.join(one.metadata['choices'])}; it is {text!r}.")
    if wanted is bool:
        return _boolean(text, name)
    if wanted in (int, float):
        return _number(text, wanted, one)
    if get_origin(wanted) is tuple:
        return tuple(item.strip() for item in text.split(",") if item.strip())
    if not text.isprintable() or text != text.strip():  # a secret from a file, say, with the file's last line break
        raise SettingError(f"{name} must be one line of printable characters, without a space at either end.")
    return text


def _fields_of(kind: type[Any]) -> list[Field[Any]]:
    return [one for one in fields(kind) if one.default is not MISSING and "text" in one.metadata]


def _from_environ(one: Field[Any], environ: Mapping[str, str]) -> str | None:
    for name in (one.name.upper(), *one.metadata["also"]):
        if name in environ:
            return environ[name]
    return None


def _boolean(text: str, name: str) -> bool:
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise SettingError(f"{name} must be true or false; it is {text!r}.")


def _number(text: str, wanted: type, one: Field[Any]) -> float:
    name, least, most = one.name.upper(), one.metadata["least"], one.metadata["most"]
    bounds = f" from {least:.12g} up" if least is not None and most is None else ""
    bounds = f" from {least:.12g} to {most:.12g}" if least is not None and most is not None else bounds
    kind = "a whole number" if wanted is int else "a number"
    try:
        value: float = wanted(text)
    except ValueError as error:
        raise SettingError(f"{name} must be {kind}{bounds}; it is {text!r}.") from error
    is_below, is_above = least is not None and value < least, most is not None and value > most
    if not math.isfinite(value) or is_below or is_above:
        raise SettingError(f"{name} must be {kind}{bounds}; it is {text}.")
    return value


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    return str(value) or "none"
