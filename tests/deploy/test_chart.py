"""The chart's decisions, by helm itself, where `make deploy-check` has fetched it or it is on the PATH."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "whisper-fleet"
FETCHED = ROOT / ".tools" / "bin" / "helm4"
HELM = str(FETCHED) if FETCHED.exists() else shutil.which("helm")

pytestmark = pytest.mark.skipif(
    HELM is None, reason="helm is not here (make deploy-check fetches it); the chart is NOT tested here"
)


def render(*sets):
    """What helm says, and what it renders, by kind and last part of the name."""
    options = [option for each in sets for option in ("--set", each)]
    done = subprocess.run([HELM, "template", "fleet", CHART, *options], capture_output=True, text=True, timeout=60)
    found = [each for each in yaml.safe_load_all(done.stdout) if each] if done.returncode == 0 else []
    return done.stderr, {
        (each["kind"], each["metadata"]["name"].rpartition("whisper-fleet")[2]): each for each in found
    }


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["model.pull=job"], "set model.cache.type=pvc"),
        (["autoscaling.type=cpu", "autoscaling.min=9", "autoscaling.max=3"], "autoscaling.min is greater"),
        (["auth.open=true", "auth.keysSecret=keys"], "set one of the two"),
        (["jobs.type=sqlite", "router.replicas=2"], "jobs.type=postgres"),
        (["jobs.type=postgres"], "jobs.urlSecret"),
        (["cache.type=redis", "cache.urlSecret=own"], "networkPolicy.routerEgress"),
        (["wyoming.enabled=true"], "wyoming.open=true"),
        (["wyoming.key=home"], "auth.keysSecret"),
        (["worker.replica=3"], "replica"),
        (["model.cache.type=nfs"], "type"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_refused(sets, said):
    """Before anything is installed, with a sentence that names the value."""
    error, found = render(*sets)
    assert said in error
    assert not found


@pytest.mark.parametrize(
    ("sets", "pull"),
    [
        ([], None),
        (["model.name=/models/own"], None),
        (["model.name=base"], "init"),
        (["model.name=base", "model.cache.type=pvc"], "job"),
        (["model.name=base", "model.pull=none"], None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_only_what_pulls_may_reach_out(sets, pull):
    """Workers never do when a Job pulls for them, nor with a model that is there already."""
    _, found = render(*sets)
    worker = found["Deployment", "-worker"]["spec"]["template"]["spec"]

    assert bool(found["NetworkPolicy", "-worker"]["spec"]["egress"]) == (pull == "init")
    assert (("NetworkPolicy", "-pull") in found) == (pull == "job")
    assert bool(worker.get("initContainers")) == (pull is not None)
    assert found["ConfigMap", "-worker"]["data"]["OFFLINE"] == "true"


def test_a_baked_model_is_not_hidden():
    """No volume over /models, and the image's own MODEL_DIR, unless there is a cache to mount."""
    _, found = render("model.name=base", "model.pull=none")
    assert "MODEL_DIR" not in found["ConfigMap", "-worker"]["data"]
    (container,) = found["Deployment", "-worker"]["spec"]["template"]["spec"]["containers"]
    assert "/models" not in [mount["mountPath"] for mount in container["volumeMounts"]]


def test_keys_are_asked_for_unless_said_otherwise():
    """By default a key is made; open means no key; a file of keys stands in for the one."""

    def environ(*sets):
        _, found = render(*sets)
        (container,) = found["Deployment", "-router"]["spec"]["template"]["spec"]["containers"]
        return {one["name"] for one in container["env"]}, found

    names, found = environ()
    assert {"API_KEY", "WORKER_TOKEN"} <= names
    assert len(found["Secret", ""]["data"]["api-key"]) > 40
    names, found = environ("auth.open=true")
    assert "API_KEY" not in names
    assert found["ConfigMap", "-router"]["data"]["ALLOW_OPEN"] == "true"
    names, found = environ("auth.keysSecret=keys")
    assert "API_KEY" not in names
    assert found["ConfigMap", "-router"]["data"]["API_KEYS_FILE"] == "/keys/keys.json"
    _, found = environ("auth.existingSecret=own")
    assert ("Secret", "") not in found


def router_of(*sets):
    """The Deployment's spec, its container, its settings, and everything else."""
    _, found = render(*sets)
    spec = found["Deployment", "-router"]["spec"]
    return spec, spec["template"]["spec"]["containers"][0], found["ConfigMap", "-router"]["data"], found


def test_jobs_are_kept_on_a_volume_or_not_at_all():
    """Off unless asked for; SQLite has a claim of its own, and no second router meets the first at an upgrade."""
    spec, container, settings, found = router_of()
    assert settings["JOBS"] == "off"
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0

    spec, container, settings, found = router_of("jobs.type=sqlite", "jobs.maxMb=1000")
    assert spec["strategy"] == {"type": "Recreate"}
    assert settings["JOBS"] == "sqlite:////jobs/jobs.sqlite" and settings["JOBS_MAX_MB"] == "1000"
    assert {"name": "jobs", "mountPath": "/jobs"} in container["volumeMounts"]
    assert found["PersistentVolumeClaim", "-jobs"]["spec"]["resources"]["requests"]["storage"] == "1512M"
    *_, found = router_of("jobs.type=sqlite", "jobs.existingClaim=own")
    assert ("PersistentVolumeClaim", "-jobs") not in found


def test_addresses_with_passwords_come_from_a_secret():
    """Postgres' and Redis' stand in no ConfigMap."""
    stores = ["jobs.type=postgres", "jobs.urlSecret=own", "cache.type=redis", "cache.urlSecret=own"]
    _, container, settings, _ = router_of(*stores, "networkPolicy.enabled=false", "router.replicas=2")
    environ = {one["name"]: one.get("valueFrom", {}).get("secretKeyRef") for one in container["env"]}
    assert environ["JOBS"] == {"name": "own", "key": "jobs-url"}
    assert environ["CACHE"] == {"name": "own", "key": "cache-url"}
    assert not {"JOBS", "CACHE"} & set(settings)


def test_wyoming_has_a_port_only_where_it_is_asked_for():
    """On container, Service and policy, and never without a word on whose limits count."""
    _, container, settings, found = router_of("auth.open=true")
    assert settings["WYOMING_PORT"] == "0"
    assert [port["name"] for port in container["ports"]] == ["http"]

    sets = ["wyoming.enabled=true", "wyoming.port=10301", "wyoming.key=home", "auth.keysSecret=keys"]
    _, container, settings, found = router_of(*sets)
    assert (settings["WYOMING_PORT"], settings["WYOMING_KEY"]) == ("10300", "home")
    assert "ALLOW_OPEN" not in settings
    assert {"name": "wyoming", "containerPort": 10300} in container["ports"]
    assert {"name": "wyoming", "port": 10301, "targetPort": "wyoming"} in found["Service", "-router"]["spec"]["ports"]
    assert {"ports": [{"port": "wyoming"}]} in found["NetworkPolicy", "-router"]["spec"]["ingress"]


def test_a_setting_of_ones_own_wins():
    """A name in router.env stands once in the ConfigMap, with that value."""
    *_, settings, _ = router_of("router.env.SPOOL_DISK_MB=100", "router.env.WYOMING_PORT=10300")
    assert (settings["SPOOL_DISK_MB"], settings["WYOMING_PORT"]) == ("100", "10300")


def test_autoscaling_takes_the_replicas_over():
    """A number in the Deployment would undo the autoscaler's at each upgrade."""
    _, found = render("autoscaling.type=cpu")
    assert "replicas" not in found["Deployment", "-worker"]["spec"]
    assert ("HorizontalPodAutoscaler", "-worker") in found
    _, found = render("autoscaling.type=keda", "autoscaling.slots=16")
    wait, busy = found["ScaledObject", "-worker"]["spec"]["triggers"]
    assert "fleet_expected_wait_seconds" in wait["metadata"]["query"] and wait["metricType"] == "Value"
    assert busy["metadata"]["threshold"] == "12"


def test_a_changed_setting_restarts_only_its_own_pods():
    """A checksum of the ConfigMap stands in the pod's template."""

    def sums(*sets):
        _, found = render(*sets)
        return [
            found["Deployment", part]["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            for part in ("-router", "-worker")
        ]

    router, worker = sums()
    other_router, same_worker = sums("router.env.MAX_WAIT_S=60")
    assert router != other_router
    assert worker == same_worker
