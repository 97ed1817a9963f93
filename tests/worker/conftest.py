"""Workers to talk to: a scripted one and the real one, in this process, behind real sockets."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from worker.app import Worker
from worker.settings import WorkerSettings

SAMPLES = Path(__file__).parents[2] / "samples"
TEXTS = json.loads((SAMPLES / "texts.json").read_text())
PATH = "/v1/audio/transcriptions"


@dataclass(frozen=True)
class Answer:
    """A response, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def refusal(self) -> tuple[int, str]:
        """Status and code of an error, which has the whole envelope and a request id."""
        error = self.json["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert self.headers["X-Request-Id"]
        return self.status, error["code"]


@dataclass
class Talk:
    """One worker and a client for it."""

    worker: Worker
    http: aiohttp.ClientSession
    url: str

    async def send(self, clip: bytes, path: str = PATH, headers: dict[str, str] | None = None, **fields: str) -> Answer:
        """POST a clip."""
        form = aiohttp.FormData(fields)
        form.add_field("file", io.BytesIO(clip), filename="upload", content_type="application/octet-stream")
        return await self.call("POST", path, data=form, headers=headers)

    async def call(self, method: str, path: str, **request: Any) -> Answer:
        """Any request."""
        async with self.http.request(method, self.url + path, **request) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str) -> Any:
        """The JSON at a path."""
        return (await self.call("GET", path)).json

    async def is_busy(self) -> bool:
        """Whether a request holds a slot."""
        return bool((await self.get("/load"))["in_flight"])

    async def until_busy(self, *, busy: bool = True) -> None:
        """Return when a request holds a slot, or when none does."""
        async with asyncio.timeout(20):
            while await self.is_busy() is not busy:  # noqa: ASYNC110  it is asked over HTTP
                await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Talk]:
    """A worker on a port of its own; stopped, and its tasks gone, at the end of the block."""
    worker = Worker(WorkerSettings(**settings))
    runner = web.AppRunner(worker.app, handler_cancellation=True, auto_decompress=False, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as http:
            loops = [group.create_task(loop) for loop in worker.loops()]
            talk = Talk(worker, http, url)
            while (await talk.get("/health"))["state"] != "ready":  # noqa: ASYNC110  asked as others ask
                await asyncio.sleep(0.01)
            yield talk
            for loop in loops:
                loop.cancel()
    finally:
        await runner.cleanup()


@pytest.fixture(scope="session")
def clips() -> dict[str, bytes]:
    """The sample clips by file name."""
    return {path.name: path.read_bytes() for path in sorted(SAMPLES.glob("*.wav"))}


@pytest.fixture
async def scripted() -> AsyncIterator[Talk]:
    """A scripted worker that takes no time."""
    async with serving(model="fake:0") as talk:
        yield talk


@pytest.fixture
async def digits() -> AsyncIterator[Talk]:
    """A worker with the embedded model."""
    async with serving(model="spoken-digits", cpu_threads=1) as talk:
        yield talk


@pytest.fixture
def serve() -> Callable[..., Any]:
    """`async with serve(model=..., max_queue_size=...) as talk`."""
    return serving


@pytest.fixture
def texts() -> list[dict[str, Any]]:
    """What is said in the samples, and when."""
    return list(TEXTS)
