"""deploy/ says what the programs understand: the plain manifests, which the chart renders to, and the units."""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from fleet import __version__
from router.settings import RouterSettings
from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = [DEPLOY / "kubernetes" / name for name in ("cpu.yaml", "gpu.yaml")]
SETTINGS = {"router": RouterSettings, "worker": WorkerSettings}
OF_LIBRARIES = {"HF_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"}


def names_of(service):
    """Every variable that a service reads."""
    return {
        name
        for one in dataclasses.fields(SETTINGS[service])
        for name in (one.name.upper(), *one.metadata.get("also", ()))
    }


def objects(path, kind):
    return [each for each in yaml.safe_load_all(path.read_text()) if each and each["kind"] == kind]


def part_of(thing):
    return thing["metadata"]["labels"].get("app.kubernetes.io/component")


def pods(path):
    """The pod of every Deployment and Job, by its part."""
    return {
        part_of(each): each["spec"]["template"]["spec"] for each in objects(path, "Deployment") + objects(path, "Job")
    }


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_variables_are_settings(path):
    """A misspelt variable would be ignored in silence: each one that a pod is given is a setting of its program."""
    configs = {part_of(each): each["data"] for each in objects(path, "ConfigMap")}
    for part, pod in pods(path).items():
        if part in SETTINGS:
            given = {one["name"] for one in pod["containers"][0]["env"]} | set(configs[part])
            assert given - OF_LIBRARIES <= names_of(part)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_pods_keep_the_restricted_standard(path):
    """Non-root, nothing writable but volumes, no capability, the runtime's system-call filter, no token."""
    for pod in pods(path).values():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 1000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not [volume for volume in pod["volumes"] if "hostPath" in volume]
        for container in pod["containers"] + pod.get("initContainers", []):
            wanted = {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["securityContext"] == wanted
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_pods_have_time_to_drain(path):
    """The kubelet kills later than the program gives up waiting."""
    configs = {part_of(each): each["data"] for each in objects(path, "ConfigMap")}
    for part in SETTINGS:
        drain_s = sum(float(configs[part].get(name, 0)) for name in ("DRAIN_NOTICE_S", "DRAIN_TIMEOUT_S"))
        assert pods(path)[part]["terminationGracePeriodSeconds"] >= drain_s + 10


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_workers_are_reached_by_routers_and_reach_nobody(path):
    """Every pod of ours is denied everything first."""
    policies = {
        each["metadata"]["name"].removeprefix("whisper-fleet-"): each["spec"] for each in objects(path, "NetworkPolicy")
    }
    deny, worker = policies["default-deny"], policies["worker"]

    assert deny["policyTypes"] == worker["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in deny and "egress" not in deny
    assert "app.kubernetes.io/component" not in deny["podSelector"]["matchLabels"]
    assert worker["egress"] == []
    (rule,) = worker["ingress"]
    assert [peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in rule["from"]] == ["router"]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_router_finds_the_workers(path):
    """WORKERS names the headless Service and its port, and that selects the workers' pods."""
    (config,) = [each["data"] for each in objects(path, "ConfigMap") if part_of(each) == "router"]
    (service,) = [each for each in objects(path, "Service") if each["spec"].get("clusterIP") == "None"]
    (deployment,) = [each for each in objects(path, "Deployment") if part_of(each) == "worker"]

    assert config["WORKERS"] == f"dns://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_chart_has_the_programs_version():
    """One number for the program, the chart and the tag of the images that it asks for."""
    chart = yaml.safe_load((DEPLOY / "helm" / "whisper-fleet" / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__
    images = {container["image"] for pod in pods(MANIFESTS[0]).values() for container in pod["containers"]}
    assert images == {f"whisper-fleet-router:{__version__}", f"whisper-fleet-worker:{__version__}"}


COPIES = [("grafana/dashboards/*.json", "dashboards"), ("prometheus/rules.yml", "rules")]


@pytest.mark.parametrize(("source", "copy"), COPIES)
def test_chart_carries_dashboards_and_rules(source, copy):
    """Helm packs nothing from outside a chart, so it has copies: the same ones."""
    theirs = DEPLOY / "helm" / "whisper-fleet" / copy
    there = {path.name: path.read_text() for path in DEPLOY.glob(source)}
    assert there
    assert {path.name: path.read_text() for path in theirs.glob("*")} == there, "run: make manifests"


@pytest.mark.parametrize("part", SETTINGS)
def test_environment_files_name_settings(part):
    """Also where a line is commented out."""
    lines = (DEPLOY / "systemd" / f"{part}.env").read_text().splitlines()
    assert {name for line in lines if (name := line.lstrip("#").partition("=")[0]).isupper()} <= names_of(part)


@pytest.mark.parametrize("unit", sorted((DEPLOY / "systemd").glob("*.service")), ids=lambda path: path.stem)
def test_units_set_what_there_is(unit):
    """Environment= and the options of ExecStart= are settings, and systemd waits longer than the program drains."""
    text = unit.read_text()
    command = re.search(r"^ExecStart=\S+/whisper-fleet (.*)$", text, re.MULTILINE).group(1).split()
    if command[0] in SETTINGS:
        set_here = {
            item.partition("=")[0]
            for line in re.findall(r"^Environment=(.*)$", text, re.MULTILINE)
            for item in line.split()
        }
        options = {word.removeprefix("--").replace("-", "_").upper() for word in command if word.startswith("--")}
        assert (set_here | options) - OF_LIBRARIES <= names_of(command[0])
        assert (
            int(re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE).group(1))
            > SETTINGS[command[0]]().drain_timeout_s
        )
