"""`python -m worker`: read the settings, serve until a signal."""

import os
import sys

# Before numpy and onnxruntime load: their thread pools would fight with the model's over the same cores. Two workers
# on two cores did 13.5 clips/s with the defaults, 22.5 with one thread each. The model's own threads are CPU_THREADS.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from fleet import log, serve, trace  # noqa: E402
from fleet.settings import SettingError, load  # noqa: E402
from worker import memory  # noqa: E402
from worker.settings import WorkerSettings  # noqa: E402


def main(argv: list[str] | None = None) -> int:
    """Serve one worker; returns the exit code."""
    try:
        settings = load(WorkerSettings, os.environ, sys.argv[1:] if argv is None else argv, prog="whisper-fleet worker")
        settings.scripted_s  # noqa: B018  read now, so that a bad number is a bad setting
        tracing = trace.start("whisper-fleet-worker", os.environ)
    except SettingError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return serve.EXIT_STARTUP
    memory.keep_blocks()
    log.set_up(settings.log_level, settings.log_format, secrets=[settings.worker_token])
    from worker.app import Worker  # noqa: PLC0415  settings are read before anything heavy is imported

    code = serve.run(
        lambda: Worker(settings, tracing),
        host=settings.host,
        port=settings.port,
        keepalive_s=settings.keepalive_s,
        limits=settings.connection_limits,
    )
    if tracing is not None:
        tracing.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
