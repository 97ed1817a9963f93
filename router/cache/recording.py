"""A reply that passes an answer on and remembers it."""

from __future__ import annotations

from router.cache.answer import Answer
from router.job import Reply

BODY_BYTES_MAX = 4 << 20  # an hour's verbose_json with words is 2 MB; more is passed on and not kept


class Recording:
    """Stands before the caller's reply for one request."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._headers: dict[str, str] = {}
        self._pieces: list[bytes] | None = None  # of an answer that comes in pieces and is not too long so far
        self._whole: Answer | None = None

    @property
    def has_content(self) -> bool:
        """Whether the caller has seen part of an answer."""
        return self._reply.has_content

    @property
    def status(self) -> int:
        """What the caller was told."""
        return self._reply.status

    async def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """A whole answer, known before the caller is told: should it have hung up, others may still want it."""
        self._pieces = None
        if len(body) <= BODY_BYTES_MAX:
            self._whole = Answer.of(status, headers, body)
        await self._reply.send(status, headers, body)

    async def start(self, status: int, headers: dict[str, str]) -> None:
        """The head of an answer in pieces."""
        self._headers, self._pieces = headers, []
        await self._reply.start(status, headers)

    async def write(self, chunk: bytes) -> None:
        """A piece."""
        if self._pieces is not None:
            self._pieces.append(chunk)
            if sum(map(len, self._pieces)) > BODY_BYTES_MAX:
                self._pieces = None
        await self._reply.write(chunk)

    async def keep_alive(self) -> None:
        """Nothing yet."""
        await self._reply.keep_alive()

    def end(self) -> None:
        """The run has ended well: the pieces are all there."""
        if self._pieces is not None:
            self._whole = Answer.of(self._reply.status, self._headers, b"".join(self._pieces))

    @property
    def answer(self) -> Answer | None:
        """The whole answer, if there was one and it is not too long."""
        return self._whole
