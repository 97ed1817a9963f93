import asyncio
import socket

import pytest

from fleet.settings import SettingError
from router.discovery import Discovery, dns_name, plain_url


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://w1:8000/", "http://w1:8000"),
        ("w1:8000", "http://w1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://w1", "http://w1"),
        ("http://[::1]", "http://[::1]"),
        ("https://w1/behind/a/proxy/", "https://w1/behind/a/proxy"),
    ],
)
def test_urls_are_read_the_way_people_write_them(given, url):
    """
    With or without scheme and slash.
    """
    assert plain_url(given) == url


@pytest.mark.parametrize(
    "given",
    [
        *(
            "ftp://w1:21",
            "http://w1:port",
            "http://:80",
            "w 1",
            "w1\n",
            "w\ud800",
            "http://[::1",
            "http://w1:",
            "[::1]:",
        ),
        *("http://w1:80?a=b", "http://w1:80#c", "http://name:secret@w1:80"),
    ],
)
def test_what_is_no_url_is_named(given):
    """
    The message names the setting and the value.
    """
    with pytest.raises(SettingError, match=r"WORKERS: .*"):
        plain_url(given)


@pytest.mark.parametrize(
    "given",
    ["dns://worker", "dns://:80", "dns://worker:99999", "dns://[::1", "dns://worker..svc:80", f"dns://{'a' * 64}:80"],
)
def test_a_dns_source_needs_a_name_and_a_port(given):
    """
    dns://NAME:PORT, and a name that can be looked up: else the look-ups would end the router with a traceback.
    """
    assert dns_name("dns://worker:8000") == ("worker", 8000)
    with pytest.raises(SettingError, match=r"must be dns://NAME:PORT"):
        dns_name(given)


async def test_the_set_follows_dns_and_outlives_its_failures(monkeypatch):
    """
    Scenarios 11 and 12: new addresses join, missing ones leave, SERVFAIL and empty answers change nothing.
    """
    answers = iter([["127.0.0.2", "127.0.0.3"], OSError("SERVFAIL"), [], ["127.0.0.3", "127.0.0.4"]])
    told: list[list[str]] = []

    async def lookup(_name, port, **_):
        given = next(answers, None)
        if given is None:
            await asyncio.sleep(60)
        if isinstance(given, OSError):
            raise given
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in given or []]

    discovery = Discovery(["http://fixed:1", "dns://worker:8000"], told.append, interval_s=0.01)
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", lookup)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await discovery.loop()

    first = ["http://fixed:1", "http://127.0.0.2:8000", "http://127.0.0.3:8000"]
    assert told == [first, first, first, ["http://fixed:1", "http://127.0.0.3:8000", "http://127.0.0.4:8000"]]
    assert discovery.errors == 1


async def test_a_fixed_list_is_told_again_and_again():
    """
    The same each time: the pool forgets a worker that was taken out only when it is idle, and nobody says when.
    """
    told: list[list[str]] = []
    discovery = Discovery(["w1:1", "w2:2"], told.append, interval_s=0.01)
    discovery.start()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await discovery.loop()

    assert len(told) > 2
    assert all(urls == ["http://w1:1", "http://w2:2"] for urls in told)
