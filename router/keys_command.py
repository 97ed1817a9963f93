"""`whisper-fleet keys`: add a key and see it once, list them, revoke one."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from fleet.options import Parser
from fleet.serve import EXIT_OK, EXIT_STARTUP
from router.key_file import KeyFile, KeyFileError
from router.key_watch import RELOADED_WITHIN_S
from router.keyring import KeyRecord, RecordError
from router.limits import LimitError, Limits, parse_audio_hours, parse_rate

DAYS = re.compile(r"(\d+)d(ays?)?")


def main(argv: Sequence[str] | None = None) -> int:
    """Change or show the file of keys; 3 if that cannot be done, with one sentence."""
    options = _parser().parse_args(argv)
    if options.file is None:
        return _failed("say where the keys are kept: --file FILE, or API_KEYS_FILE in the environment.")
    file = KeyFile.at(options.file, options.pepper_file)
    now = datetime.now(UTC)
    try:
        if options.action == "add":
            _add(file, options, now)
        elif options.action == "revoke":
            record = file.revoke(options.which)
            print(f"Revoked {record.id} ({record.name}). {_taken_over()}")
        else:
            _list(file, now)
    except (KeyFileError, RecordError, LimitError) as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{error.filename}: {os.strerror(error.errno or 0)}.")
    return EXIT_OK


def _add(file: KeyFile, options: argparse.Namespace, now: datetime) -> None:
    """The key alone goes to stdout, so that a script can catch it."""
    requests, per_s = parse_rate(options.rate) if options.rate else (None, None)
    limits = Limits(
        requests=requests,
        per_s=per_s,
        concurrency=options.concurrency,
        audio_s_per_day=parse_audio_hours(options.audio_hours) if options.audio_hours else None,
    )
    expires_at = parse_expiry(options.expires, now) if options.expires else None
    key, record = file.add(options.name, limits, now=now, expires_at=expires_at)
    print(f"Added {record.id} ({record.name}): {limits}, {_expiry(record)}. {_taken_over()}", file=sys.stderr)
    print("The key, shown this once:", file=sys.stderr)
    print(key)


def _list(file: KeyFile, now: datetime) -> None:
    records = file.read().records if file.path.exists() else []
    for record in records:
        state = "EXPIRED" if record.is_expired(now) else _expiry(record)
        print(f"{record.id}  {record.name:<20}  added {record.created_at:%Y-%m-%d}  {state:<22}  {record.limits}")
    if not records:
        print("There are no keys.", file=sys.stderr)


def parse_expiry(text: str, now: datetime) -> datetime:
    """`90d`, or a date on which the key is no longer good, at 00:00 UTC; raises LimitError."""
    days = DAYS.fullmatch(text)
    try:
        moment = now + timedelta(days=int(days[1])) if days else datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise LimitError(f"{text!r} is no date; write it as 2027-01-31, or as 90d from now.") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= now:
        raise LimitError(f"{text} is in the past.")
    return moment


def _expiry(record: KeyRecord) -> str:
    return f"until {record.expires_at:%Y-%m-%d %H:%M}" if record.expires_at else "does not expire"


def _taken_over() -> str:
    return f"A router that uses this file knows within {RELOADED_WITHIN_S:g} s."


def _failed(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return EXIT_STARTUP


def _parser() -> Parser:
    about = "Keys for callers, each with limits of its own. Only an HMAC of each is kept."
    parser = Parser(prog="whisper-fleet keys", description=about)
    _add_places(parser, os.environ.get("API_KEYS_FILE"), os.environ.get("API_KEYS_PEPPER_FILE"))
    actions = parser.add_subparsers(dest="action", metavar="add|list|revoke")
    parser.set_defaults(action="list")
    add = actions.add_parser("add", help="make a key, and print it this once")
    add.add_argument("--name", required=True, help="who or what it is for: letters, digits and ._-")
    add.add_argument("--rate", help="requests in a period, as in 60/min, 5/s, 1000/day (default: no limit)")
    add.add_argument("--concurrency", type=int, help="requests at a time (default: no limit)")
    add.add_argument("--audio-hours", metavar="HOURS", help="hours of audio a day, as in 100/day (default: no limit)")
    add.add_argument("--expires", metavar="WHEN", help="a date such as 2027-01-31 (00:00 UTC), or 90d (default: never)")
    listing = actions.add_parser("list", help="ids, names, limits and dates (the default)")
    revoke = actions.add_parser("revoke", help="make a key useless")
    revoke.add_argument("which", metavar="ID", help="its id or its name, as in the list")
    for action in (add, listing, revoke):
        _add_places(action, argparse.SUPPRESS, argparse.SUPPRESS)  # nothing said here leaves what was said before
    return parser


def _add_places(parser: argparse.ArgumentParser, file: str | None, pepper_file: str | None) -> None:
    parser.add_argument("--file", default=file, help="where the keys are kept (default: API_KEYS_FILE)")
    text = "secret that the HMACs are made with (default: API_KEYS_PEPPER_FILE, else FILE.pepper, made if needed)"
    parser.add_argument("--pepper-file", metavar="FILE", default=pepper_file, help=text)
