"""A fleet as its command-line clients see it: where it is, which key it wants, and its failures as one sentence."""

import argparse
import json
import os
import socket
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from fleet.errors import Unauthorized

DEFAULT_URL = "http://127.0.0.1:8083"
CONNECT_TIMEOUT_S = 5
HINTS = {
    Unauthorized.code: "; give it with --key KEY or FLEET_KEY",
    "no_worker": "; whisper-fleet status says of each why not",
}


class RemoteError(Exception):
    """The fleet could not be asked, or said no; the message is for a person, `code` the fleet's own word."""

    def __init__(self, message: str, *, code: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_s = retry_after_s


def add_options(parser: argparse.ArgumentParser) -> None:
    """`--url` and `--key`, which every client takes."""
    url = os.environ.get("FLEET_URL", DEFAULT_URL)
    parser.add_argument("--url", default=url, help=f"address of the router (FLEET_URL; default: {DEFAULT_URL})")
    key = os.environ.get("FLEET_KEY")
    parser.add_argument("--key", default=key, help="API key, where the fleet asks for one (FLEET_KEY; default: none)")


def session(url: str, key: str | None, timeout_s: float) -> aiohttp.ClientSession:
    """A client of this fleet; `url` may end in /v1 or a slash. Raises RemoteError for what is no address."""
    base = url.rstrip("/").removesuffix("/v1")
    if not base.startswith(("http://", "https://")):
        raise RemoteError(f"--url must start with http:// or https://; it is {url!r}")
    try:
        _ = urlsplit(base).port
    except ValueError as error:
        raise RemoteError(f"--url is no address: {url!r}") from error
    return aiohttp.ClientSession(
        base_url=f"{base}/",
        headers={"Authorization": f"Bearer {key.strip()}"} if key else None,
        timeout=aiohttp.ClientTimeout(total=timeout_s, connect=CONNECT_TIMEOUT_S),
    )


async def body_of(response: aiohttp.ClientResponse) -> bytes:
    """The body of a good answer; raises RemoteError with the message of a bad one."""
    body = await response.read()
    if response.status < 400:
        return body
    code = ""
    try:
        error = (await response.json(content_type=None))["error"]
        message, code = f"{error['message']} ({error['code']})", str(error["code"])
        message += HINTS.get(code, "")
    except (ValueError, KeyError, TypeError):
        message = f"the answer was {response.status} {response.reason}"
    raise RemoteError(message, code=code, retry_after_s=_retry_after_s(response))


async def models_of(http: aiohttp.ClientSession) -> list[str]:
    """The names that the fleet takes for a model; raises RemoteError, or what aiohttp does."""
    async with http.get("v1/models") as response:
        listed = json.loads(await body_of(response))
    try:
        return [str(model["id"]) for model in listed["data"]]
    except (KeyError, TypeError) as error:
        raise RemoteError("the list of models cannot be read") from error


def explained(error: Exception, url: str) -> RemoteError:
    """A failure on the way as one sentence."""
    if isinstance(error, RemoteError):
        return error
    if isinstance(error, aiohttp.ClientConnectorError):
        why = _why(error.os_error)
        elsewhere = ", or name one with --url URL or FLEET_URL" if url == DEFAULT_URL else ""
        return RemoteError(f"no fleet answers at {url} ({why}); start one with: whisper-fleet up{elsewhere}")
    if isinstance(error, TimeoutError):
        return RemoteError(f"{url} did not answer in time")
    return RemoteError(f"the connection to {url} failed ({type(error).__name__})")


def _why(error: OSError) -> str:
    """In words; a resolver's errors have numbers of their own, and their words with them."""
    if isinstance(error, socket.gaierror):
        return str(error.strerror).lower()
    return os.strerror(error.errno).lower() if error.errno else "it cannot be reached"


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    given: Any = response.headers.get("Retry-After", "")
    return float(given) if given.isdigit() and response.status in (429, 503) else None
