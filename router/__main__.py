"""`python -m router`: settings, application, serve; nothing else."""

import os
import sys
from collections.abc import Sequence

from fleet import log, serve, trace
from fleet.settings import SettingError, load
from router.app import RouterService
from router.settings import RouterSettings


def main(argv: Sequence[str] | None = None) -> int:
    """Run a router until it is told to stop; returns the exit code."""
    try:
        arguments = sys.argv[1:] if argv is None else argv
        settings = load(RouterSettings, os.environ, arguments, prog="whisper-fleet router")
        settings.check()
        tracing = trace.start("whisper-fleet-router", os.environ)
    except SettingError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return serve.EXIT_STARTUP
    log.set_up(settings.log_level, settings.log_format, secrets=settings.secrets)
    code = serve.run(
        lambda: RouterService(settings, tracing),
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
