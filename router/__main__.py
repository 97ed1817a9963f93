"""`python -m router`: a router until it is told to stop."""

import sys
from collections.abc import Sequence

from fleet.start import start
from router.app import RouterService
from router.memory import keep_small_blocks
from router.settings import RouterSettings


def main(argv: Sequence[str] | None = None) -> int:
    """Run a router; returns the exit code."""
    keep_small_blocks()
    return start(RouterSettings, argv, RouterService, name="router")


if __name__ == "__main__":
    sys.exit(main())
