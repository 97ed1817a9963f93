"""
Builds the images and runs Compose for real; prints a line for everything that was checked. Run by check.sh.

    python deploy/containers/check.py [CHECK...]      all of them unless some are named

Needs a Docker engine with Compose v2 and an installed whisper-fleet (for aiohttp). Leaves only the images behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import look
from claims import claim, problems
from server import server
from stack import ROOT, SAID, DockerError, Stack, ask, docker, free_port, load, until

INSIDE = """
id -u; grep CapEff /proc/self/status | cut -f2; grep NoNewPrivs /proc/self/status | cut -f2
touch /written 2>/dev/null && echo writable || echo read-only
python3 -c 'import socket; socket.create_connection(("1.1.1.1", 443), 3)' 2>/dev/null && echo out || echo in
"""
KEY = "only-for-this-check"  # the router refuses keys that everybody guesses
KILL_SERVICE = "kill -9 $(cat /proc/1/task/1/children)"  # what docker-init started


async def images() -> None:
    """Both images, built from this checkout: who they run as, what they say of themselves, how large they are."""
    for name in ("router", "worker"):
        began = time.monotonic()
        await Stack().compose("build", "--quiet", name)
        seconds = time.monotonic() - began
        image = json.loads(await docker("image", "inspect", f"whisper-fleet-{name}"))[0]
        base = json.loads(await docker("image", "inspect", await base_of(name)))[0]
        config, size_mb = image["Config"], image["Size"] / 1e6
        more_mb = size_mb - base["Size"] / 1e6
        claim(f"{name}: image is built", True, f"{seconds:.0f} s, {size_mb:.0f} MB, {more_mb:.0f} MB of it ours")
        claim(f"{name}: runs as 1000, labelled, with a health check", image_is_sound(config))
        help_text = await docker(
            "run", "--rm", "--read-only", "--network", "none", f"whisper-fleet-{name}", name, "--help"
        )
        claim(f"{name}: `docker run ... {name} --help` answers, read-only, without network", "--port" in help_text)


def image_is_sound(config: Any) -> bool:
    """As a cluster that allows little would look at it."""
    is_quiet = not [line for line in config["Env"] if "KEY" in line or "TOKEN" in line]
    is_labelled = config["Labels"]["org.opencontainers.image.licenses"] == "MIT"
    test = config["Healthcheck"]["Test"]
    return config["User"] == "1000:1000" and is_quiet and is_labelled and test[0] == "CMD" and "curl" not in test


async def base_of(name: str) -> str:
    """The base that the Dockerfile was given."""
    text = (ROOT / f"Dockerfile.{name}").read_text()
    default = next(line for line in text.splitlines() if line.startswith("ARG PYTHON_IMAGE=")).partition("=")[2]
    return os.environ.get("PYTHON_IMAGE", default)


async def confinement() -> None:
    """What a container may do: nothing that it need not."""
    stack = Stack()
    async with stack.running(workers=2):
        for service, way in (("worker", "in"), ("router", "out")):
            name = (await stack.containers(service))[0]
            uid, capabilities, no_new, root, network = (await docker("exec", name, "sh", "-c", INSIDE)).split()
            claim(
                f"{service}: not root, no capabilities",
                (uid, capabilities.strip("0"), no_new) == ("1000", "", "1"),
                uid,
            )
            claim(f"{service}: root file system is read-only", root == "read-only")
            if way == "in":
                claim(f"{service}: no way out of its network", network == "in")
            details = await stack.inspect(name)
            limits = details["HostConfig"]
            claim(
                f"{service}: memory, cores and processes are limited", limits["Memory"] > 0 and limits["NanoCpus"] > 0
            )
        async with aiohttp.ClientSession() as session:
            claim("the fleet answers what is said", (await ask(session, stack.url))[0] == "")
            problem = await look.takes_large(session, stack.url)
            claim("a body of 60 MB goes through the read-only containers", problem == "", problem)


async def scaling() -> None:
    """2 -> 4 -> 1 under load, with clients that never retry; then a worker is killed, and one crashes."""
    stack = Stack()
    async with stack.running(workers=2):
        async with load(stack.url) as tally:
            await stack.up(workers=4)
            claim("4 workers are found by name", await until(lambda: look.has_ready(stack, 4)))
            claim("all 4 are given work", await until(lambda: look.has_served(tally, 4)), len(tally.by_worker))
            await stack.up(workers=1)
            claim("1 is left", await until(lambda: look.has_ready(stack, 1)))
            await asyncio.sleep(3)
        claim(
            "0 failed requests while scaling 2 -> 4 -> 1", not tally.failed, f"{tally.answered} answered {tally.failed}"
        )

        await stack.up(workers=3)
        await until(lambda: look.has_ready(stack, 3))
        async with load(stack.url) as tally:
            await asyncio.sleep(1)
            killed, crashed, *_ = await stack.containers("worker")
            await docker("kill", killed)
            await asyncio.sleep(3)
            await docker("exec", crashed, "sh", "-c", KILL_SERVICE, fails=None)
            claim(
                "a worker whose process was killed is started again", await until(lambda: look.is_back(stack, crashed))
            )
            await asyncio.sleep(1)
        claim(
            "0 failed requests while workers are killed", not tally.failed, f"{tally.answered} answered {tally.failed}"
        )
        await stack.up(workers=3)
        claim("`up` brings the killed container back", await until(lambda: look.has_ready(stack, 3)))


async def draining() -> None:
    """SIGTERM: what is in flight is finished, then the process ends with 0, of its own accord."""
    stack = Stack(MODEL="fake:3")
    async with stack.running(workers=1), aiohttp.ClientSession() as session:
        for service in ("worker", "router"):
            (name,) = await stack.containers(service)
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(ask(session, stack.url, expected=None))
                await until(lambda: look.is_busy(stack), 20)
                began = time.monotonic()
                await docker("stop", "-t", "60", name)
                seconds = time.monotonic() - began
            state = (await stack.inspect(name))["State"]
            problem, _ = asking.result()
            claim(f"{service}: SIGTERM finishes the request in flight", problem == "", problem or f"{seconds:.1f} s")
            claim(f"{service}: then ends with 0", state["ExitCode"] == 0, state["ExitCode"])
            await docker("start", name)
            await until(lambda: look.has_ready(stack, 1))
        began = time.monotonic()
        await stack.compose("stop")
        claim("an idle fleet stops at once", time.monotonic() - began < 20, f"{time.monotonic() - began:.1f} s")


async def keys() -> None:
    """A port that others can reach asks for a key, or does not open."""
    stack = Stack("public", BIND="127.0.0.1", MODEL="fake:0.1")
    try:
        said = await stack.compose("run", "--rm", "--no-deps", "router", fails=True)
        claim(
            "public: no key, no start, and one sentence why", "set API_KEY" in said, said.strip().splitlines()[-1][:90]
        )
    finally:
        await stack.down()
    stack = Stack("public", BIND="127.0.0.1", MODEL="fake:0.1", API_KEY=KEY)
    async with stack.running(workers=1), aiohttp.ClientSession() as session:
        problem, _ = await ask(session, stack.url, expected=None)
        claim("public: who has no key is refused", problem.startswith("401"), problem[:60])
        session.headers["Authorization"] = f"Bearer {KEY}"
        problem, _ = await ask(session, stack.url, expected=None)
        claim("public: who has it is served", problem == "", problem)
        (name, *_) = await stack.containers("worker")
        environ = (await stack.inspect(name))["Config"]["Env"]
        claim("public: workers are not told the key", not [line for line in environ if KEY in line])


async def nginx() -> None:
    """nginx in the router's place: the same claims about scaling, at a pace below its rate limit."""
    stack = Stack("nginx")
    async with stack.running(workers=2):
        running = (await stack.compose("ps", "--services")).split()
        claim("nginx: runs, and the router does not", "nginx" in running and "router" not in running, running)
        async with load(stack.url, clients=3, pause_s=0.2) as tally:
            for count in (4, 1):
                await stack.up(workers=count)
                claim(
                    f"nginx: the {count} that there are get work, and no other",
                    await until(lambda: look.all_asked(stack)),
                )
            await asyncio.sleep(3)
        claim(
            "nginx: 0 failed while scaling 2 -> 4 -> 1", not tally.failed, f"{tally.answered} answered {tally.failed}"
        )
        await stack.compose("kill", "worker")
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            problem, _ = await ask(session, stack.url)
            claim("nginx: its own 503 when nobody is left", "no_worker" in problem, problem[:50])
            async with session.get(f"{stack.url}/lb-status") as response:
                claim("nginx: /lb-status counts", (await response.text()).startswith("Active connections"))


async def redis() -> None:
    """The cache of compose.redis.yaml: a clip asked for again is not transcribed again, not even by a new router."""
    stack = Stack("redis")
    if "CACHE:" not in (ROOT / "compose" / "settings.yaml").read_text():
        print("skip  redis: the router has no CACHE setting")
        return
    async with stack.running(workers=1), aiohttp.ClientSession() as session:
        claim("redis: first answer is made", await look.cache_says(session, stack.url) == "miss")
        claim("redis: second comes from the cache", await look.cache_says(session, stack.url) == "hit")
        await stack.compose("restart", "router")
        await until(lambda: look.has_ready(stack, 1))
        claim("redis: also after the router was started anew", await look.cache_says(session, stack.url) == "hit")


async def doors() -> None:
    """What else than HTTP requests comes in: Wyoming by its overlay, live audio with what the image has of it."""
    port = free_port()
    stack = Stack("wyoming", MODEL="fake:0.1", WYOMING_PORT=str(port), ALLOW_OPEN="true")
    async with stack.running(workers=1), aiohttp.ClientSession() as session:
        claim("wyoming: the port answers", await look.speaks_wyoming(port))
        async with session.ws_connect(f"{stack.url}/v1/realtime?intent=transcription") as line:
            first = await line.receive_json(timeout=10)
            claim("realtime: a session begins", "session.created" in first["type"], first["type"])


async def jobs() -> None:
    """In the read-only router jobs are kept, on the volume: one that waits there runs after its container is gone."""
    stack = Stack()
    async with stack.running(workers=1), aiohttp.ClientSession() as session:
        done = await look.leaves_job(session, stack.url)
        claim("jobs: one is taken and done", await until(lambda: look.has_result(session, done)), done[-60:])
        (worker,) = await stack.containers("worker")
        await docker("stop", worker)
        waiting = await look.leaves_job(session, stack.url)
        (router,) = await stack.containers("router")
        await docker("rm", "--force", router)
        await stack.up(workers=1)
        claim("jobs: one that waits runs in the next container", await until(lambda: look.has_result(session, waiting)))
        claim("jobs: the first has its words still", await look.has_result(session, done) == SAID)


async def monitoring() -> None:
    """Prometheus finds the router and every worker; Alertmanager takes its rules' alerts. Grafana only where it is."""
    stack = Stack("monitoring", MODEL="fake:0.1")
    if not (ROOT / "deploy" / "prometheus" / "prometheus.yml").is_file():
        print("skip  monitoring: there is no deploy/prometheus/prometheus.yml")
        return
    services = ["router", "worker", "prometheus", "alertmanager"]
    services += ["grafana"] if await look.has_image("grafana") else []
    async with stack.running(*services, workers=3):
        claim("monitoring: Prometheus scrapes 3 workers and the router", await until(lambda: look.scrapes(4), 60))
        claim("monitoring: Alertmanager is ready", await look.answers("http://127.0.0.1:9093/-/ready"))
        if "grafana" in services:
            claim(
                "monitoring: Grafana is healthy",
                await until(lambda: look.answers("http://127.0.0.1:3000/api/health"), 60),
            )
        else:
            print("skip  monitoring: no image of Grafana here")


async def locust() -> None:
    """Locust's pages, in a container that has the samples."""
    stack = Stack("load", MODEL="fake:0.1")
    await stack.compose("build", "--quiet", "load")
    async with stack.running(workers=1):
        claim("load: Locust serves its pages", await until(lambda: look.answers("http://127.0.0.1:8089/"), 60))


CHECKS: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
    check.__name__: check
    for check in (images, confinement, scaling, draining, keys, doors, jobs, nginx, redis, monitoring, locust, server)
}


async def main(names: list[str]) -> int:
    """Run the named checks; 1 if a claim did not hold."""
    began = time.monotonic()
    for name in names or CHECKS:
        print(f"--- {name} ({time.monotonic() - began:.0f} s)", flush=True)
        try:
            await CHECKS[name]()
        except* DockerError as group:
            claim(f"{name}: runs to its end", False, "\n".join(map(str, group.exceptions)))
    seconds = time.monotonic() - began
    print(f"{len(problems)} problems, {seconds:.0f} s" if problems else f"all well, {seconds:.0f} s")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
