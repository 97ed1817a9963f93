"""`python -m tests.sim` prints the comparison of policies."""

from tests.sim.table import main

main()
