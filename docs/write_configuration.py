"""
Writes what is said of the settings elsewhere than in their records: `make docs`.

docs/configuration.md for people, .env.example for who runs containers, compose/settings.yaml for Compose: which setting
goes to which container.
"""

import sys
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from fleet.plan import UpSettings
from router.settings import RouterSettings
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[1]
HEAD = """# Configuration

Written by `make docs` from the settings records; a test compares. Each setting is an environment variable and, in kebab
case, an option: `MAX_WAIT_S=60` or `--max-wait-s 60`; the option wins. A wrong value is one sentence that names the
variable, and exit code 3.

`whisper-fleet up` passes its own environment, and options of router and worker, on to those it starts, so their
settings can be given to it as well; only `WORKERS`, `MODEL`, `HOST`, `PORT` and `WYOMING` mean what the first table
says. A misspelt option is refused, and so is a misspelt variable on the line of `make run`; in the environment nobody
can tell one from another program's.
"""

SERVICES: tuple[tuple[str, type[Any]], ...] = (("router", RouterSettings), ("worker", WorkerSettings))
SET_BY_COMPOSE = frozenset(["HOST", "PORT", "WORKERS", "WORKER_ID", "MODEL_DIR", "OFFLINE", "SPOOL_DIR"])
OF_BOTH = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG")
COMPOSE_HEAD = """\
# Written by `make docs`: the settings that each container is given, where the environment or .env
# has them. A key of the router's does not reach the workers, and an unset one stays unset.
services:
"""
ENV_HEAD = """\
# Settings of the containers: `cp .env.example compose/.env`, and take the # from a line to set it. Each line shows the
# default. docs/configuration.md has the same as tables.
#
# Written by `make docs` from the settings records. Git ignores .env, which is where keys belong.

# --- compose/*.yaml itself ---

# worker containers to start with; --scale worker=N wins
# WORKERS=2
# the port on 127.0.0.1 where the fleet answers
# PORT=8083
# the address that compose.public.yaml publishes it on
# BIND=0.0.0.0
# limits of a container: cores and memory
# WORKER_CPUS=1
# WORKER_MEMORY=2g
# ROUTER_CPUS=1
# ROUTER_MEMORY=1g
# NGINX_MEMORY=2g
# images, built from this checkout unless named
# ROUTER_IMAGE=whisper-fleet-router
# WORKER_IMAGE=whisper-fleet-worker
# traces of router and workers; a collector for the workers must be on the network `fleet`
# OTEL_EXPORTER_OTLP_ENDPOINT=
# OTEL_SERVICE_NAME=
# OTEL_TRACES_SAMPLER=
# OTEL_TRACES_SAMPLER_ARG=
# what images are built from, and a model to put inside
# PYTHON_IMAGE=python:3.12.11-slim-bookworm
# BAKED_MODEL=
# the Hub's token and address for the container that pulls the model, and its way out
# HF_TOKEN=
# HF_ENDPOINT=https://huggingface.co
# HTTPS_PROXY=
# compose.gpu.yaml: the GPU that workers see
# GPU_IDS=0
# compose.redis.yaml: memory of the cache
# REDIS_MEMORY=256mb
# compose.monitoring.yaml: password of Grafana's admin
# GRAFANA_PASSWORD=admin
# compose.load.yaml: what Locust puts under load
# LOAD_TARGET=http://router:8083
"""
DEFAULTS_IN_COMPOSE = {"CPU_THREADS": "1", "ALLOW_OPEN": "true"}


def pages() -> dict[Path, str]:
    """Every file that is written, with its text."""
    return {
        ROOT / "docs" / "configuration.md": _reference(),
        ROOT / "compose" / "settings.yaml": COMPOSE_HEAD + "".join(_passed_on(*service) for service in SERVICES),
        ROOT / ".env.example": ENV_HEAD + "".join(_examples(name, kind) for name, kind in SERVICES),
    }


def _reference() -> str:
    tables = (("up", UpSettings), *SERVICES)
    return HEAD + "".join(_table(f"whisper-fleet {name}", kind) for name, kind in tables)


def _table(name: str, kind: type[Any]) -> str:
    rows = "".join(_row(one) for one in _settings(kind))
    return f"\n## {name}\n\n| variable | default | unit | meaning |\n| --- | --- | --- | --- |\n{rows}"


def _row(one: Field[Any]) -> str:
    about = one.metadata
    names = ", ".join(f"`{name}`" for name in (one.name.upper(), *about["also"]))
    default = f"`{_default(one)}`" if _default(one) else ""
    return f"| {names} | {default} | {about['unit']} | {_meaning(one).replace('|', chr(92) + '|')} |\n"


def _passed_on(name: str, kind: type[Any]) -> str:
    names = [one.name.upper() for one in _settings(kind) if one.name.upper() not in SET_BY_COMPOSE]
    names += OF_BOTH
    return f"  {name}:\n    environment:\n" + "".join(f"      {each}:\n" for each in names)


def _examples(name: str, kind: type[Any]) -> str:
    """The service's settings, but for those that mean the same to a service before it."""
    earlier = {
        one.name for other, each in SERVICES[: [each for each, _ in SERVICES].index(name)] for one in _settings(each)
    }
    lines = [f"\n# --- {name} ---\n\n"]
    for one in _settings(kind):
        if one.name in earlier:
            continue
        variable = one.name.upper()
        if variable in SET_BY_COMPOSE:
            lines.append(f"# {variable}: set in compose.yaml; {_meaning(one)}\n")
            continue
        unit = f" [{one.metadata['unit']}]" if one.metadata["unit"] else ""
        lines.append(f"# {_meaning(one)}{unit}\n# {variable}={DEFAULTS_IN_COMPOSE.get(variable) or _default(one)}\n")
    return "".join(lines)


def _settings(kind: type[Any]) -> list[Field[Any]]:
    return [one for one in fields(kind) if "text" in one.metadata]


def _meaning(one: Field[Any]) -> str:
    choices = one.metadata["choices"]
    return f"{one.metadata['text']} ({', '.join(choices)})" if choices else str(one.metadata["text"])


def _default(one: Field[Any]) -> str:
    value = one.default
    if value is None or value in ((), ""):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
    sys.exit(0)
