import pytest

from fleet.settings import SettingError, load
from router.settings import RouterSettings


def test_on_loopback_no_key_is_needed():
    """
    A laptop needs no ceremony.
    """
    load(RouterSettings, {"WORKERS": "http://w1:1"}).check()


def test_an_open_address_needs_a_key_or_an_explicit_word():
    """
    Nobody opens a service to the network by accident.
    """
    environ = {"WORKERS": "http://w1:1", "HOST": "0.0.0.0"}
    with pytest.raises(SettingError, match=r"API_KEY.*ALLOW_OPEN=true"):
        load(RouterSettings, environ).check()

    load(RouterSettings, environ | {"API_KEY": "k"}).check()
    load(RouterSettings, environ | {"API_KEYS_FILE": "keys.json"}).check()
    load(RouterSettings, environ | {"ALLOW_OPEN": "true"}).check()


@pytest.mark.parametrize("host", ["localhost.example.org", "127.example.org", "::1234", "::", "192.168.1.5"])
def test_what_only_begins_like_loopback_is_open(host):
    """
    A name may lead anywhere, and so may the addresses behind ::1 in the book.
    """
    with pytest.raises(SettingError, match="ALLOW_OPEN=true"):
        load(RouterSettings, {"WORKERS": "http://w1:1", "HOST": host}).check()
    for loopback in ("localhost", "127.0.0.53", "::1"):
        load(RouterSettings, {"WORKERS": "http://w1:1", "HOST": loopback}).check()


@pytest.mark.parametrize("name", ["API_KEY", "ADMIN_KEY"])
def test_a_key_that_everybody_guesses_is_none(name):
    """
    Not on an address that others reach; on loopback it may be what it wants.
    """
    environ = {"WORKERS": "http://w1:1", "API_KEY": "long and random", name: "ChangeMe"}
    with pytest.raises(SettingError, match=name):
        load(RouterSettings, environ | {"HOST": "0.0.0.0"}).check()
    load(RouterSettings, environ).check()


def test_a_router_without_workers_says_which_setting_is_missing():
    """
    One sentence, with the forms that it takes.
    """
    with pytest.raises(SettingError, match=r"WORKERS is empty.*dns://"):
        load(RouterSettings, {}).check()
