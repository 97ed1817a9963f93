"""`whisper-fleet models`: what there is by name, and `models pull NAME` to have it before a worker needs it."""

import os
import sys
from collections.abc import Sequence

from fleet.options import Parser
from fleet.serve import EXIT_OK, EXIT_STARTUP, StartupError
from worker.models import catalogue
from worker.settings import SCRIPTED_PREFIX


def main(argv: Sequence[str] | None = None) -> int:
    """List, or pull; 3 for a model that cannot be had."""
    options = _parser().parse_args(argv)
    if options.action == "list":
        for name in catalogue.names():
            print(f"{name:<20}{catalogue.HUB.get(name, 'embedded: spoken English digits only, no download')}")
        return EXIT_OK
    if options.name.startswith(SCRIPTED_PREFIX):
        print("scripted: nothing to pull")
        return EXIT_OK
    try:
        print(catalogue.resolve(options.name, options.model_dir))  # the Hub's client draws the bar, on stderr
    except StartupError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_STARTUP
    return EXIT_OK


def _parser() -> Parser:
    parser = Parser(prog="whisper-fleet models", description="The models that a worker can run.")
    actions = parser.add_subparsers(dest="action", metavar="list|pull")
    parser.set_defaults(action="list")
    actions.add_parser("list", help="names, and where each is pulled from (the default)")
    pull = actions.add_parser("pull", help="fetch a model now; prints its directory")
    pull.add_argument(
        "name", metavar="NAME", help="a name of the list, or a Hub id such as Systran/faster-whisper-tiny"
    )
    default = os.environ.get("MODEL_DIR")
    pull.add_argument("--model-dir", default=default, help="where to keep it (MODEL_DIR; default: the Hub's own cache)")
    return parser
