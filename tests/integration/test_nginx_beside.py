"""The router and nginx before the same workers, which refuse at once when they are busy."""

import asyncio
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from loadtest import nginx
from tests.integration.processes import ask, free_port, router, up, worker

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("default:NOT CHECKED")]

PLAIN = """
daemon off; pid nginx.pid; error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; scgi_temp_path temp;
  upstream workers {{ zone workers 128k; least_conn; {servers} }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://workers; proxy_next_upstream error timeout http_503; }}
  }}
}}
"""


@contextmanager
def plain_nginx(program: str, workers: list[int]) -> Iterator[str]:
    """nginx with least_conn, as it is usually set up, before these ports."""
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "temp").mkdir()
        servers = " ".join(f"server 127.0.0.1:{one};" for one in workers)
        (folder / "plain.conf").write_text(PLAIN.format(servers=servers, port=port))
        process = subprocess.Popen([program, "-p", name, "-c", "plain.conf", "-e", "stderr"])
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


async def ten_at_once(client: aiohttp.ClientSession, url: str) -> int:
    """How many of ten concurrent requests are served."""
    results = await asyncio.gather(*(ask(client, url) for _ in range(10)))
    return [status for status, _ in results].count(200)


async def served_by_nginx(client: aiohttp.ClientSession, workers: list[int]) -> int | None:
    """The same behind nginx; None where it is missing."""
    program = nginx.find()
    if program is None:
        warnings.warn("NOT CHECKED: nginx is not installed", stacklevel=1)
        return None
    with plain_nginx(program, workers) as url:
        await reachable(client, f"{url}/readyz")
        return await ten_at_once(client, url)


async def reachable(client: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(15):
        while True:
            try:
                async with client.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)


async def test_ten_at_once_on_three_one_slot_workers(record_property):
    """
    The router serves all ten; nginx before the same three hands out 503 while the others are free or soon will be.
    """
    workers = [worker("fake:0.3", "--fail-fast-when-busy") for _ in range(3)]
    async with up(*workers, balancer := router(workers)) as client:
        by_router = await ten_at_once(client, balancer.url)
        nginx_served = await served_by_nginx(client, [one.port for one in workers])

    record_property("served_by_router", by_router)
    record_property("served_by_nginx", nginx_served)
    assert by_router == 10
    assert nginx_served is None or nginx_served < 10
