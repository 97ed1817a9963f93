"""
One service as a child of this process: started behind a minder, heard line by line, drained or killed.

The scope is the guarantee: when the block ends, however it ends, the service and all it started are gone.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

MINDER = Path(__file__).with_name("minder.py")
LINE_BYTES_MAX = 1 << 20  # a log line with a traceback is a few kilobytes; the rest of a longer one is cut


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """What to start, in which environment. `cores` pins it (Linux); `ready_url` answers 200 once it takes work."""

    name: str
    command: Sequence[str]
    ready_url: str
    environ: Mapping[str, str]
    cores: tuple[int, ...] = ()


class Child:
    """A running service. State: its minder's process, whose input is the rope that holds it."""

    def __init__(self, spec: ChildSpec, minder: asyncio.subprocess.Process) -> None:
        self.spec = spec
        self._minder = minder

    def __repr__(self) -> str:
        """`<Child worker-1 running>`."""
        state = "running" if self._minder.returncode is None else f"ended {self._minder.returncode}"
        return f"<Child {self.spec.name} {state}>"

    @property
    def minder_pid(self) -> int:
        """The process between: its only child is the service."""
        return self._minder.pid

    async def wait(self, on_line: Callable[[str], None]) -> int:
        """Pass on what it prints until it ends; its exit code, 128 + n for signal n."""
        lines = self._minder.stdout
        assert lines is not None  # noqa: S101  it is always a pipe
        while True:
            try:
                line = await lines.readline()
            except ValueError:  # longer than the limit: that much was dropped
                continue
            if not line:
                return await self._minder.wait()
            on_line(line.decode(errors="replace").rstrip("\n"))

    def drain(self) -> None:
        """Ask it to finish what it has and end."""
        self._tell(b"t")

    def kill(self) -> None:
        """End it and everything it started, now."""
        if self._minder.stdin is not None:
            self._minder.stdin.close()

    def _tell(self, word: bytes) -> None:
        if self._minder.stdin is not None and not self._minder.stdin.is_closing():
            self._minder.stdin.write(word)


@asynccontextmanager
async def running(spec: ChildSpec) -> AsyncIterator[Child]:
    """Start the service; it does not outlive the block."""
    cores = ",".join(map(str, spec.cores)) or "any"
    minder = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", "-S", str(MINDER), cores),
        *spec.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(spec.environ),
        limit=LINE_BYTES_MAX,
        start_new_session=True,  # a terminal's Ctrl-C is for `up`, which drains in order
    )
    child = Child(spec, minder)
    try:
        yield child
    finally:
        child.kill()
        await minder.wait()
