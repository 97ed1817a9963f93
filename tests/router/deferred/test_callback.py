"""Which servers may be called, and what proves who called."""

import base64
import hashlib
import hmac

import pytest

from fleet.errors import BadRequest
from fleet.settings import SettingError
from router.deferred.callback import Allowed, key_of, signed

LISTED = ("hooks.example", "other.example:8443", "http://inner.example", "10.1.0.0/16", "http://127.0.0.1:9000")

GOOD = [
    "https://hooks.example/x?y=1",
    "https://HOOKS.example:443/",
    "https://other.example:8443/",
    "http://inner.example/",
    "http://127.0.0.1:9000/hook",
]
BAD = [
    "http://hooks.example/",  # not https, and not listed as http://
    "https://inner.example/",
    "https://hooks.example:8443/",
    "https://hooks.example.evil.example/",
    "https://evil.example/?hooks.example",
    "https://hooks.example@evil.example/",
    "https://user:pass@hooks.example/",
    "https://hooks.example#@evil.example/",
    "https://hooks.example./",
    "https://evil.example\\@hooks.example/",
    "https://hooks.example\t/",
    "https://hooks.example/ x",
    "https://höoks.example/",
    "https://hooks.example:99999/",
    "https://hooks.example:x/",
    "https:///x",
    "//hooks.example/",
    "ftp://hooks.example/",
    "file:///etc/passwd",
    "http://169.254.169.254/latest",
    "http://2130706433:9000/",
    "https://hooks.example/" + "x" * 2048,
    "",
]


@pytest.mark.parametrize("url", GOOD)
def test_listed_servers_may_be_called(url):
    """Any path of them."""
    assert Allowed(LISTED).check(url) == url


@pytest.mark.parametrize("url", BAD)
def test_no_other_may(url):
    """By no spelling; the answer says nothing of what is listed."""
    with pytest.raises(BadRequest, match="WEBHOOK_ALLOW") as refusal:
        Allowed(LISTED).check(url)
    assert refusal.value.param == "callback_url"
    with pytest.raises(BadRequest):
        Allowed(()).check(url)


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.1.2.3", True),  # listed
        ("10.2.2.3", False),
        ("127.0.0.1", True),  # listed, as a host
        ("127.0.0.2", False),
        ("169.254.169.254", False),
        ("192.168.1.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::ffff:192.168.1.1", False),
        ("::ffff:10.1.2.3", True),
        ("64:ff9b::a9fe:a9fe", False),  # 169.254.169.254 behind NAT64
        ("64:ff9b::808:808", True),  # 8.8.8.8
        ("2002:c0a8:101::1", False),  # 192.168.1.1 by 6to4
        ("::192.168.1.1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("nonsense", False),
    ],
)
def test_private_addresses_must_be_listed(address, may):
    """What a listed name leads to is not trusted."""
    assert Allowed(LISTED).may_connect(address) is may


@pytest.mark.parametrize("entry", ["https://hooks.example/path", "ftp://x", "https://u@x", "10.0.0.1/8", "x/y", "x:y"])
def test_wrong_entries_are_told(entry):
    """When the router starts."""
    with pytest.raises(SettingError, match="WEBHOOK_ALLOW"):
        Allowed((entry,))


def test_signatures_can_be_verified():
    """By the published recipe; a secret may be given as text or as whsec_BASE64."""
    raw = b"sixteen byte key"
    for secret in ("sixteen byte key", f"whsec_{base64.b64encode(raw).decode()}"):
        headers = signed(key_of(secret), message_id="id", timestamp_s=17, body=b'{"a":1}')
        wanted = base64.b64encode(hmac.new(raw, b'id.17.{"a":1}', hashlib.sha256).digest()).decode()
        assert headers == {"webhook-id": "id", "webhook-timestamp": "17", "webhook-signature": f"v1,{wanted}"}


@pytest.mark.parametrize("secret", ["whsec_", "whsec_abc", "whsec_a-b_"])
def test_a_secret_that_cannot_sign_is_told_when_the_router_starts(secret):
    """Found only with the first webhook, it ended the router, and its successors as well."""
    with pytest.raises(SettingError, match="WEBHOOK_SECRET") as told:
        key_of(secret)
    assert "abc" not in str(told.value)
