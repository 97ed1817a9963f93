"""
`python -m fleet.health [URL]`: whether the service of this container is ready, as an exit code; for HEALTHCHECK.

Standard library only, and no other module of ours: it runs every few seconds beside a model that needs the cores.
"""

import http.client
import os
import sys
import urllib.request
from collections.abc import Sequence

TIMEOUT_S = 2  # readiness answers within 50 ms however busy the model is


def main(argv: Sequence[str]) -> int:
    """Ask the URL, or /readyz on PORT of this machine: 0 for 200, 1 for anything else, with one line that says why."""
    url = argv[0] if argv else f"http://127.0.0.1:{os.environ.get('PORT', '')}/readyz"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # HTTP_PROXY is for the model's download
    try:
        with direct.open(url, timeout=TIMEOUT_S):
            return 0
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"{url}: {error}", file=sys.stderr)  # noqa: T201  docker inspect shows it
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
