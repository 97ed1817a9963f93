"""Ports that stay ours."""

import socket
import sys

import pytest

from fleet.ports import held_ports
from fleet.serve import StartupError


def test_free_ports_differ():
    """One for the router, one for each worker, all different."""
    with held_ports("127.0.0.1", 0, 3) as ports:
        assert len({ports.router, *ports.workers}) == 4


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a held port cannot be bound again, so none is held")
def test_held_port_can_be_listened_on_again_and_again():
    """A service may come and go there while we hold it."""
    with held_ports("127.0.0.1", 0, 1) as ports:
        for _ in range(2):
            with socket.create_server(("127.0.0.1", ports.workers[0])) as server:
                socket.create_connection(server.getsockname()).close()


def test_port_that_somebody_listens_on():
    """Found out before anything starts; the sentence names address and settings."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        said = rf"127\.0\.0\.1:{port} is taken: .* another PORT"
        with pytest.raises(StartupError, match=said), held_ports("127.0.0.1", port, 1):
            pytest.fail("never reached")


def test_address_that_is_not_ours():
    """So is an address of another machine, and what is no address."""
    for host in ("192.0.2.1", "no.such.host.invalid"):
        with pytest.raises(StartupError, match="cannot listen on"), held_ports(host, 0, 1):
            pytest.fail("never reached")
