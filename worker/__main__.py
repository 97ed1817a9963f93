"""`python -m worker`: a worker until it is told to stop."""

import os
import sys
from collections.abc import Sequence

# Before numpy and onnxruntime load: their thread pools would fight with the model's over the same cores. Two workers
# on two cores did 13.5 clips/s with the defaults, 22.5 with one thread each. The model's own threads are CPU_THREADS.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
# And before the model's library does: its threads would wait for each other in a loop. Two of them beside other
# programs on two cores took 1.3 s of processor time for a clip that needs 0.1 s.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from fleet.serve import Service  # noqa: E402
from fleet.start import start  # noqa: E402
from fleet.trace import Tracing  # noqa: E402
from worker import memory  # noqa: E402
from worker.settings import WorkerSettings  # noqa: E402


def main(argv: Sequence[str] | None = None) -> int:
    """Run a worker; returns the exit code."""
    memory.keep_blocks()  # before there are threads
    return start(WorkerSettings, argv, _build, name="worker")


def _build(settings: WorkerSettings, tracing: Tracing | None) -> Service:
    from worker.app import Worker  # noqa: PLC0415  settings are read before anything heavy is imported

    return Worker(settings, tracing)


if __name__ == "__main__":
    sys.exit(main())
