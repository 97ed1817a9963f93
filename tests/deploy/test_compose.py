"""What the Compose files and Dockerfiles promise, read as they stand; deploy/containers/check.sh runs them for real."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "compose").glob("compose*.yaml"))
DOCKERFILES = sorted(ROOT.glob("Dockerfile.*"))
LENT = {"router", "worker", "models"}  # of compose.yaml; an overlay adds to them


class Reader(yaml.SafeLoader):
    """Knows Compose's own tag."""


Reader.add_constructor("!override", lambda reader, node: reader.construct_sequence(node))


def services(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(), Reader)["services"]  # noqa: S506  a SafeLoader with one tag more


def whole(path: Path) -> dict[str, Any]:
    """The services that a file describes from the ground up."""
    lent = set() if path.name == "compose.yaml" else LENT
    return {name: service for name, service in services(path).items() if name not in lent}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_container_may_more_than_it_must(path):
    """Read-only, no capabilities, an init process; what serves also has limits."""
    for name, service in whole(path).items():
        assert service["read_only"] and service["init"] and service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        if name != "models":  # runs once
            assert {"cpus", "memory", "pids"} <= set(service["deploy"]["resources"]["limits"]), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_ports_are_this_machines_alone(path):
    """Unless an overlay says that others may."""
    for service in services(path).values():
        for port in service.get("ports", []):
            assert port.startswith(("127.0.0.1:", "${BIND:-127.0.0.1}:")) or path.name == "compose.public.yaml"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_is_mounted_is_there(path):
    """Files of this project that a container is given exist."""
    for service in services(path).values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert not source.startswith("..") or (path.parent / source).exists(), source


def test_workers_have_no_way_out():
    """They are on the one network that is internal; who pulls the model is not on it."""
    networks = yaml.load(FILES[-1].read_text(), Reader)["networks"]  # noqa: S506
    assert FILES[-1].name == "compose.yaml"
    assert services(FILES[-1])["worker"]["networks"] == ["fleet"]
    assert networks["fleet"]["internal"]
    assert services(FILES[-1])["models"]["networks"] == ["edge"]


def test_secrets_go_to_whom_they_concern():
    """The keys of callers and administrators are given to the router alone."""
    given = {
        name: set(service["environment"]) for name, service in services(ROOT / "compose" / "settings.yaml").items()
    }
    assert {"API_KEY", "ADMIN_KEY", "WORKER_TOKEN"} <= given["router"]
    assert "WORKER_TOKEN" in given["worker"] and not {"API_KEY", "ADMIN_KEY"} & given["worker"]


def test_every_overlay_is_named():
    """In the head of compose.yaml, and in the check that reads them all."""
    head, check = (ROOT / "compose" / "compose.yaml").read_text(), (ROOT / "deploy/checks/containers.sh").read_text()
    for path in FILES[:-1]:
        name = path.name.split(".")[1]
        assert re.search(rf"^# .*\b{name}\b", head, re.MULTILINE), name
        assert re.search(rf"^for overlay in .*\b{name}\b", check, re.MULTILINE), name


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_dockerfiles(path):
    """Any BuildKit builds them with no other image; they run as 1000, get signals, and check health without curl."""
    text = path.read_text()
    assert not re.search(r"^# *syntax=", text, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${PYTHON_IMAGE}"}
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.\d+\.\d+-slim-\w+$", text, re.MULTILINE)
    assert re.search(r"^USER 1000:1000$", text, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["whisper-fleet"\]$', text, re.MULTILINE)
    assert "curl" not in text and re.search(r"^HEALTHCHECK .* CMD \[", text, re.MULTILINE)


def test_nothing_private_is_sent_to_the_builder():
    """The context is a list of what may go, so that a new .env or key file stays out by itself."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    allowed = {line.strip("!/") for line in lines if line.startswith("!")}
    assert allowed == {"LICENSE", "README.md", "pyproject.toml", "bench", "fleet", "loadtest", "router", "worker"}
