"""Who may call: one key for callers, one for /admin, compared in constant time before a body is read."""

import hashlib
import hmac

from aiohttp import web

from fleet.errors import Forbidden, Unauthorized
from fleet.web import Handler

# /lb-status asks for the key itself: a browser gets a page that does
PUBLIC = frozenset(
    ["/", "/static/{name}", "/lb-status", "/docs", "/openapi.json", "/health", "/healthz", "/readyz", "/metrics"]
)
TENANT = web.RequestKey("tenant", str)


class Keys:
    """Checks the key of a request and names the tenant it belongs to."""

    def __init__(self, api_key: str | None, admin_key: str | None) -> None:
        self._api_key = api_key
        self._admin_key = admin_key

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through if its key is good for the route it matched."""
        self.require(request)
        return await handler(request)

    def require(self, request: web.Request) -> None:
        """Name the tenant; raises Unauthorized or Forbidden."""
        resource = request.match_info.route.resource
        path = (resource.canonical if resource else "").rstrip("/") or "/"
        if path.startswith("/admin"):
            self._check_admin(request)
        elif path not in PUBLIC and not self.is_known(request):
            raise Unauthorized
        request[TENANT] = tenant_of(given_key(request))

    def is_known(self, request: web.Request) -> bool:
        """Whether the caller's key came with the request, or none is asked for."""
        return self._api_key is None or _same(given_key(request), self._api_key)

    def _check_admin(self, request: web.Request) -> None:
        if self._admin_key is None:
            raise Forbidden("/admin is closed: no ADMIN_KEY is set.")
        if not _same(given_key(request), self._admin_key):
            raise Unauthorized


def given_key(request: web.Request) -> str:
    """The key that came with a request, as a bearer token or in X-API-Key; empty if none did."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")


def tenant_of(key: str) -> str:
    """A name for the key's owner that does not tell the key."""
    return hashlib.sha256(_bytes(key)).hexdigest()[:8] if key else ""


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(_bytes(given), _bytes(wanted))


def _bytes(key: str) -> bytes:
    return key.encode(errors="surrogateescape")  # a header may hold any byte
