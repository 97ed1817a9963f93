"""`python -m tests.sim` prints the comparison of policies; `--json` for programs."""

import sys

from tests.sim.table import main

main(is_json="--json" in sys.argv[1:])
