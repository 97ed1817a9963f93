"""
Which servers may be told that a job ended, and what proves that it was us (core: no clock, no I/O).

A URL that a caller names makes this router send a request from inside its network. So nothing is allowed that the
operator has not listed, and a listed name may still not lead to a private address unless that is listed too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from fleet.errors import BadRequest
from fleet.settings import SettingError

URL_CHARS_MAX = 2048
TRANSLATED = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))  # RFC 6052, RFC 4291 2.5.5.1
PORTS = {"http": 80, "https": 443}
ENCODED = "whsec_"  # before the base64 of a secret

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of a listed server."""

    scheme: str
    host: str
    port: int


class Allowed:
    """WEBHOOK_ALLOW: `HOST`, `HOST:PORT`, `http://HOST`, and addresses or networks that names may lead to."""

    def __init__(self, entries: tuple[str, ...]) -> None:
        """Raises SettingError for an entry that is none of these."""
        self._networks = [network for entry in entries if (network := _network(entry)) is not None]
        hosts = [entry for entry in entries if "://" in entry or "/" not in entry]
        self._origins = frozenset(_listed(entry) for entry in hosts)
        if any(_network(entry) is None for entry in set(entries) - set(hosts)):
            raise SettingError("WEBHOOK_ALLOW takes HOST, HOST:PORT, http://HOST, and networks such as 10.1.0.0/16.")

    def check(self, url: str) -> str:
        """The URL, if it may be called; raises BadRequest."""
        try:
            parts = urlsplit(url)
            is_plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= URL_CHARS_MAX
            is_allowed = is_plain and parts.username is None and not parts.fragment and _origin(parts) in self._origins
        except ValueError:
            is_allowed = False
        if not is_allowed:
            message = "This server may not be called: its host is not in WEBHOOK_ALLOW."
            raise BadRequest(message, param="callback_url")
        return url

    def may_connect(self, address: str) -> bool:
        """Whether a listed name may lead to this address."""
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address):
            found = _embedded(found) or found
        is_public = found.is_global and not found.is_multicast
        return is_public or any(found in network for network in self._networks)


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that is called in the end: a translator (NAT64) or tunnel (6to4) may lead inside."""
    if address.ipv4_mapped is not None or address.sixtofour is not None:
        return address.ipv4_mapped or address.sixtofour
    if any(address in network for network in TRANSLATED):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def key_of(secret: str) -> bytes:
    """What WEBHOOK_SECRET signs with: the text itself, or the base64 behind `whsec_`. Raises SettingError."""
    if not secret.startswith(ENCODED):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(ENCODED), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise SettingError(f"WEBHOOK_SECRET: what follows {ENCODED} must be the base64 of a key.")
    return key


def signed(key: bytes, *, message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers of the Standard Webhooks specification, which libraries in many languages verify."""
    content = f"{message_id}.{timestamp_s}.".encode() + body
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp_s), "webhook-signature": f"v1,{signature}"}


def _listed(entry: str) -> Origin:
    try:
        parts = urlsplit(entry if "://" in entry else f"https://{entry}")
        origin = _origin(parts)
    except ValueError as error:
        raise SettingError(f"WEBHOOK_ALLOW has {entry!r}, whose port is no port.") from error
    if origin is None or parts.path or parts.query or parts.fragment or parts.username is not None:
        raise SettingError(f"WEBHOOK_ALLOW has {entry!r}; it takes HOST, HOST:PORT, http://HOST, and networks.")
    return origin


def _origin(parts: SplitResult) -> Origin | None:
    if parts.scheme not in PORTS or not parts.hostname:
        return None
    port = PORTS[parts.scheme] if parts.port is None else parts.port
    return Origin(parts.scheme, parts.hostname, port)  # urlsplit has made the host lower case


def _network(entry: str) -> Network | None:
    """The addresses that an entry lists: a network, or a host that is an address."""
    text = entry if "://" not in entry else urlsplit(entry).hostname or ""
    host, colon, port = text.rpartition(":")
    if colon and port.isdigit() and host.count(":") == 0:
        text = host
    try:
        return ipaddress.ip_network(text.strip("[]"))
    except ValueError:
        return None
