"""
docs/server.md as its reader would follow it: the commands that stand there, on a system that systemd runs.

The container is privileged, since systemd makes control groups, and has this checkout read-only.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from claims import claim
from stack import PROJECT, ROOT, docker, until

IMAGE = f"{PROJECT}-server"
NAME = f"{PROJECT}-server"
COPY = "mkdir -p ~/here && tar -C /src --exclude=./.venv --exclude=./.tools --exclude=./.git -c . | tar -C ~/here -x"
HEARD = "seven zero one five nine two four three five five"
KILL = "kill -9 $(systemctl show -p MainPID --value whisper-fleet-worker@8101)"
OPEN = "sed -i s/^HOST=.*/HOST=0.0.0.0/ /etc/whisper-fleet/router.env; systemctl restart whisper-fleet-router"
OWNERS = "find /var/lib/whisper-fleet /var/cache/whisper-fleet-router -not -user whisper-fleet -o -perm /007"


async def server() -> None:
    """Installed, started and called as the page says; then a worker dies, and the door is opened without a key."""
    async with debian():
        await shell(COPY)
        await shell(commands("Install"))
        said = await shell(commands("Start"))
        claim("server: installs and starts by the page's own commands, and hears", HEARD in said, said[-90:].strip())
        job = await shell("/opt/whisper-fleet/bin/whisper-fleet transcribe --job samples/phone-number-george.wav")
        claim("server: takes a job within what the units allow", HEARD in job)
        strange = await shell(OWNERS)
        claim("server: what it wrote is its user's alone", strange == "", strange)
        await shell(KILL)
        claim("server: a killed worker is started again", await until(is_ready))
        await shell(OPEN)
        claim("server: no key, no start, and one sentence why", await until(says_no_key))


def commands(section: str) -> str:
    """The shell commands of a section of the page."""
    page = (ROOT / "docs" / "server.md").read_text()
    found = re.search(rf"^## {section}\n(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    return "\n".join(re.findall(r"^```bash\n(.*?)^```", found[1], re.MULTILINE | re.DOTALL)) if found else "false"


@asynccontextmanager
async def debian() -> AsyncIterator[None]:
    """A server for as long as the block runs."""
    base = [f"--build-arg=PYTHON_IMAGE={os.environ['PYTHON_IMAGE']}"] if "PYTHON_IMAGE" in os.environ else []
    await docker("build", "-q", "-t", IMAGE, *base, "-f", "deploy/containers/Dockerfile.server", "deploy/containers")
    await docker(
        *("run", "--detach", "--rm", "--name", NAME, "--privileged", "--cgroupns", "host", "--tmpfs", "/run"),
        *("-v", "/sys/fs/cgroup:/sys/fs/cgroup", "-v", f"{ROOT}:/src:ro", IMAGE),
    )
    try:
        await until(is_up)
        yield
    finally:
        await docker("rm", "--force", NAME)


async def shell(script: str) -> str:
    """What it prints; raises DockerError with it when a command fails."""
    return await docker("exec", NAME, "bash", "-ec", f"cd ~/here 2>/dev/null || cd; {script}")


async def answers(script: str) -> str:
    """What it prints, whether it fails or not."""
    return await docker("exec", NAME, "bash", "-c", script, fails=None)


async def is_up() -> bool:
    """Whether systemd has started all that it wants."""
    return (await answers("systemctl is-system-running")).strip() in ("running", "degraded")


async def is_ready() -> bool:
    """Whether the worker that was killed can transcribe."""
    return "ready" in await answers(
        "systemctl is-active whisper-fleet-worker@8101 && curl -sf http://127.0.0.1:8101/readyz"
    )


async def says_no_key() -> bool:
    """Whether the router has ended for good, with its reason as the last it said."""
    status = await answers("systemctl status --no-pager whisper-fleet-router")
    return "status=3" in status and "no key is set" in status
