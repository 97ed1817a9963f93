"""Who may call: keys for callers, one for /admin, compared in constant time before a body is read."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from datetime import UTC, datetime

from aiohttp import web

from fleet.errors import Forbidden, RateLimited, Unauthorized
from fleet.web import Handler
from router.allowance import Allowance, Allowances
from router.keyring import Keyring
from router.lockout import Lockout

# /lb-status asks for the key itself: a browser gets a page that does
PUBLIC = frozenset(
    ["/", "/static/{name}", "/lb-status", "/docs", "/openapi.json", "/health", "/healthz", "/readyz", "/metrics"]
)
ADMIN = ("/admin", "/cache")  # routes that begin so need the admin key
TENANT = web.RequestKey("tenant", str)
API_KEY_TENANT, ADMIN_TENANT = "api-key", "admin"  # constants: a hash of a secret that somebody chose would tell of it
KEY_PROTOCOL = "openai-insecure-api-key."  # a page can give a WebSocket no header but the names of sub-protocols

logger = logging.getLogger("router.keys")


class Keys:
    """
    Checks the key of a request and names the tenant it belongs to.

    State: the secrets, the ring of keys as the file had it last, what is left to each key, and who guessed wrong.
    """

    def __init__(self, api_key: str | None, admin_key: str | None) -> None:
        self._api_key = api_key
        self._admin_key = admin_key
        self.is_open = api_key is None  # whether everybody may call, since no key is asked for
        self._ring = Keyring(b"")
        self._revoked: set[str] = set()
        self._allowances = Allowances()
        self._callers, self._admins = Lockout(), Lockout()

    @property
    def has_admin(self) -> bool:
        """Whether /admin can be used at all."""
        return self._admin_key is not None

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through if its key is good for the route it matched."""
        self.require(request)
        return await handler(request)

    async def stamp(self, request: web.Request, response: web.StreamResponse) -> None:
        """Tell the caller of a limited key what is left (a signal: it runs before headers are sent)."""
        if TENANT in request:
            response.headers.update(self._allowances.of(request[TENANT]).headers(time.monotonic()))

    def require(self, request: web.Request) -> None:
        """Name the tenant; raises Unauthorized or Forbidden, or RateLimited where too many wrong keys came from."""
        resource = request.match_info.route.resource
        path = (resource.canonical if resource else "").rstrip("/") or "/"
        given = given_key(request)
        if path.startswith(ADMIN):
            self.check_admin(given, request.remote or "")
            request[TENANT] = ADMIN_TENANT
        elif path in PUBLIC:
            request[TENANT] = ""
        else:
            request[TENANT] = self.tenant(given, request.remote or "")

    def is_known(self, request: web.Request) -> bool:
        """Whether the caller's key came with the request, or none is asked for; raises RateLimited."""
        try:
            self.tenant(given_key(request), request.remote or "")
        except Unauthorized:
            return False
        return True

    def tenant(self, given: str, address: str) -> str:
        """Whose key this is, sent from that address; raises Unauthorized or RateLimited."""
        if self.is_open:
            return tenant_of(given)
        record = self._ring.find(given, datetime.now(UTC))
        if record is not None:
            return record.id
        _guard(self._callers, given, self._api_key, address)
        return API_KEY_TENANT

    def name_of(self, tenant: str) -> str:
        """The name of a tenant's key, for the audit log."""
        record = self._ring.with_id(tenant)
        return record.name if record is not None else ""

    def class_of(self, tenant: str) -> str:
        """What metrics tell of a caller: `none` where no key is asked for, `shared` for API_KEY's, else `named`."""
        if self.is_open:
            return "none"
        return "shared" if tenant == API_KEY_TENANT else "named"

    def tenant_named(self, name: str) -> str | None:
        """The tenant of the key with this name, for doors whose callers can send no key; None if there is none."""
        record = self._ring.named(name)
        return record.id if record is not None and not record.is_expired(datetime.now(UTC)) else None

    def allowance(self, tenant: str) -> Allowance:
        """What is left to a tenant; raises Unauthorized if its key was good once and is not any more."""
        record = self._ring.with_id(tenant)
        if tenant in self._revoked or (record is not None and record.is_expired(datetime.now(UTC))):
            raise Unauthorized
        return self._allowances.of(tenant)

    def replace(self, ring: Keyring) -> None:
        """Other keys from now on; what the keys that stay have used stays used."""
        before = {record.id for record in self._ring.records}
        limits = {record.id: record.limits for record in ring.records}
        self._revoked = (self._revoked | before) - set(limits)
        self._ring = ring
        self.is_open = False
        self._allowances.replace(limits, time.monotonic())

    def check_admin(self, given: str, address: str) -> None:
        """Return if this is the admin's key, sent from that address; raises Forbidden, Unauthorized or RateLimited."""
        if self._admin_key is None:
            raise Forbidden("This is closed: no ADMIN_KEY is set.")
        _guard(self._admins, given, self._admin_key, address)


def _guard(lockout: Lockout, given: str, wanted: str | None, address: str) -> None:
    """Return if the secret is the right one. Nothing is compared while its address is shut."""
    now = time.monotonic()
    wait_s = lockout.shut_for_s(address, now)
    if wait_s > 0:
        raise RateLimited("Too many wrong keys came from this address.", retry_after_s=wait_s)
    if wanted is not None and _same(given, wanted):
        lockout.right(address)
        return
    if given and lockout.wrong(address, now):
        logger.warning("too many wrong keys; the address is shut for a while", extra={"address": address})
    raise Unauthorized


def given_key(request: web.Request) -> str:
    """The key that came with a request: a bearer token, X-API-Key, or a WebSocket's sub-protocol; empty if none did."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    offered = (name for name in offered_protocols(request) if name.startswith(KEY_PROTOCOL))
    return request.headers.get("X-API-Key") or next(offered, "").removeprefix(KEY_PROTOCOL)


def offered_protocols(request: web.Request) -> tuple[str, ...]:
    """The sub-protocols that a WebSocket client offers, in its order."""
    return tuple(name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip())


def tenant_of(key: str) -> str:
    """A name for who sends a key where none is asked for; it does not tell the key."""
    return hashlib.sha256(_bytes(key)).hexdigest()[:8] if key else ""


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(_bytes(given), _bytes(wanted))


def _bytes(key: str) -> bytes:
    return key.encode(errors="surrogateescape")  # a header may hold any byte
