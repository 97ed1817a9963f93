"""`whisper-fleet transcribe`, as a process."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process

COMMAND = (sys.executable, "-m", "fleet.cli", "transcribe")


async def started(*arguments: object) -> Process:
    """The command, running."""
    return await asyncio.create_subprocess_exec(*COMMAND, *map(str, arguments), stdout=PIPE, stderr=PIPE)


async def transcribe(*arguments: object) -> tuple[int | None, str, str]:
    """Exit code, stdout, stderr."""
    process = await started(*arguments)
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()
