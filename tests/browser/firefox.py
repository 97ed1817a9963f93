"""
A real Firefox, driven by WebDriver BiDi over the WebSocket that it opens itself.

Playwright wants a Firefox of its own making, or one newer than Debian's; this much of the standard is enough here.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from tests.integration.processes import free_port

STARTS_WITHIN_S = 60
ANSWERS_WITHIN_S = 30
MESSAGE_BYTES_MAX = 1 << 24


class Firefox:
    """One browser. State: the commands that wait for their answers, and what its consoles complained of."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, downloads: Path) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.downloads = downloads
        self.complaints: list[str] = []

    async def listen(self) -> None:
        """Sort what comes, until the browser is gone."""
        async for message in self._socket:
            said = json.loads(message.data)
            if said.get("method") == "log.entryAdded" and said["params"]["level"] in ("error", "warn"):
                self.complaints.append(said["params"]["text"])
            elif (waiting := self._waiting.pop(said.get("id"), None)) and not waiting.done():
                waiting.set_result(said)

    async def send(self, method: str, **params: Any) -> Any:
        """A command's result."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            answer = await self._waiting[number]
        assert answer["type"] == "success", answer
        return answer["result"]

    async def open(self, url: str) -> Tab:
        """A tab with a page, loaded."""
        tab = Tab(self, (await self.send("browsingContext.create", type="tab"))["context"])
        await tab.go(url)
        return tab


class Tab:
    """One tab."""

    def __init__(self, browser: Firefox, context: str) -> None:
        self._browser = browser
        self._context = context

    async def go(self, url: str) -> None:
        """Another page."""
        await self._browser.send("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def value(self, expression: str) -> Any:
        """What an expression gives in the page: a string, number, boolean, null, or a reference to an element."""
        target = {"context": self._context}
        script = {"expression": expression, "target": target, "awaitPromise": True}
        answer = await self._browser.send("script.evaluate", **script)
        assert answer["type"] == "success", answer
        result = answer["result"]
        return {"sharedId": result["sharedId"]} if result["type"] == "node" else result.get("value")

    async def holds(self, expression: str, within_s: float = 20) -> None:
        """Wait until an expression is true."""
        async with asyncio.timeout(within_s):
            while not await self.value(f"Boolean({expression})"):  # noqa: ASYNC110  the page has no event for it
                await asyncio.sleep(0.05)

    async def click(self, selector: str) -> None:
        """As a pointer does it, in the element's middle, once it is in view."""
        seen = "(element) => (element.scrollIntoView({ block: 'center' }), element)"
        element = await self.value(f"({seen})(document.querySelector({json.dumps(selector)}))")
        move = {"type": "pointerMove", "x": 0, "y": 0, "origin": {"type": "element", "element": element}}
        press = [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        pointer = {"type": "pointer", "id": "mouse", "actions": [move, *press]}
        await self._browser.send("input.performActions", context=self._context, actions=[pointer])

    async def type(self, text: str) -> None:
        """Key by key, where the focus is."""
        strokes = [{"type": kind, "value": letter} for letter in text for kind in ("keyDown", "keyUp")]
        keyboard = {"type": "key", "id": "keys", "actions": strokes}
        await self._browser.send("input.performActions", context=self._context, actions=[keyboard])

    async def choose(self, selector: str, file: Path) -> None:
        """A file, in the element that asks for one."""
        element = await self.value(f"document.querySelector({json.dumps(selector)})")
        await self._browser.send("input.setFiles", context=self._context, element=element, files=[str(file)])


@asynccontextmanager
async def launched(program: str) -> AsyncIterator[Firefox]:
    """A browser with a fresh profile; it and the profile are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True) as home:
        downloads = Path(home) / "downloads"
        downloads.mkdir()
        (Path(home) / "user.js").write_text(_preferences(downloads))
        port = free_port()
        command = (program, "--headless", f"--remote-debugging-port={port}", "--profile", home)
        environ = os.environ | {"HOME": home, "MOZ_CRASHREPORTER_DISABLE": "1"}
        process = await asyncio.create_subprocess_exec(
            *command, env=environ, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
        )
        try:
            async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as group:
                browser = Firefox(await _connected(client, port), downloads)
                group.create_task(browser.listen())
                await browser.send("session.new", capabilities={})
                await browser.send("session.subscribe", events=["log.entryAdded"])
                yield browser
                await browser.send("browser.close")
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def _preferences(downloads: Path) -> str:
    wanted = {
        "browser.download.folderList": 2,  # the folder named in the next line
        "browser.download.dir": str(downloads),
        "datareporting.policy.dataSubmissionEnabled": False,  # and no other word to anybody
        "toolkit.telemetry.enabled": False,
        "app.update.enabled": False,
        "network.captive-portal-service.enabled": False,
        "network.connectivity-service.enabled": False,
    }
    return "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in wanted.items())


async def _connected(client: aiohttp.ClientSession, port: int) -> aiohttp.ClientWebSocketResponse:
    async with asyncio.timeout(STARTS_WITHIN_S):
        while True:
            try:
                return await client.ws_connect(f"ws://127.0.0.1:{port}/session", max_msg_size=MESSAGE_BYTES_MAX)
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
