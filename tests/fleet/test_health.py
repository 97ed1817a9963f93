"""What HEALTHCHECK runs, against a real server."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from fleet import health


class Answer(http.server.BaseHTTPRequestHandler):
    """200 at /readyz, 503 elsewhere."""

    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 503)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_ready(port, monkeypatch):
    """
    PORT says where; a proxy that is set for downloads is not asked.
    """
    monkeypatch.setenv("PORT", str(port))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert health.main([]) == 0


def test_not_ready(port, capsys):
    """
    Any other answer is a 1, with a line that says which.
    """
    assert health.main([f"http://127.0.0.1:{port}/elsewhere"]) == 1
    assert "503" in capsys.readouterr().err


def test_nobody_there(monkeypatch, capsys):
    """
    So is none, and so is a PORT that is none.
    """
    assert health.main(["http://127.0.0.1:9/"]) == 1
    monkeypatch.setenv("PORT", "none")
    assert health.main([]) == 1
    assert "Traceback" not in capsys.readouterr().err
