"""Who may send work here: whoever knows WORKER_TOKEN, which the router sends with everything it asks of a worker."""

import hmac

from aiohttp import web

from fleet.errors import Unauthorized
from fleet.web import Handler

PUBLIC = frozenset(["/health", "/healthz", "/readyz", "/metrics"])  # for probes, which have no secrets


class Token:
    """Checks it, in constant time and before the body is read; without one everybody may."""

    def __init__(self, wanted: str | None) -> None:
        self._wanted = wanted

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through; raises Unauthorized."""
        resource = request.match_info.route.resource
        path = (resource.canonical if resource else "").rstrip("/")
        if self._wanted is not None and path and path not in PUBLIC:
            scheme, _, given = request.headers.get("Authorization", "").partition(" ")
            is_same = hmac.compare_digest(given.strip().encode(errors="surrogateescape"), self._wanted.encode())
            if scheme.lower() != "bearer" or not is_same:
                raise Unauthorized
        return await handler(request)
