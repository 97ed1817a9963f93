"""Rules and dashboards against a real Prometheus that scrapes a real fleet: what is asked for is there."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import promql_parser
import pytest
import pytest_asyncio
import yaml
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.integration import processes
from tests.programs import missing
from tests.worker import clips as make

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())
EACH_RULE = [rule for group in RULES["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in EACH_RULE if "alert" in rule}
RECORDED = {rule["record"] for rule in EACH_RULE if "record" in rule}
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((DEPLOY / "grafana/dashboards").glob("*.json"))}
GRAFANAS = {"$__rate_interval": "1m", "$__range": "1m", "$worker": ".*", "$instance": ".*"}
LATE = ("stt_router_audio_seconds_total", "stt_router_worker_requests_total", "fleet_worker_audio_seconds_total")
MACHINES = ("FleetRouterStalls", "FleetWorkerSlows", "FleetNotScraped")  # once it stood still for a tenth of a second
SCRAPES_LATE_MAX = 20
CLIP = (ROOT / "samples/digits-short-george.wav").read_bytes()


def live(test):
    """Marks what needs the running one."""
    return pytest.mark.real(pytest.mark.asyncio(loop_scope="module")(test))


def asked_of(board: dict[str, Any]) -> list[str]:
    """What a dashboard asks, with Grafana's variables filled in."""
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    for name, value in GRAFANAS.items():
        found = [expr.replace(name, value) for expr in found]
    return found


def metrics_in(expr: str) -> set[str]:
    """The names of the series that an expression selects; raises ValueError for what is no PromQL."""
    return set(selected(promql_parser.parse(expr)))


def selected(node: Any) -> Iterator[str]:
    """The names below a node of the parsed expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node.name
    for attribute in ("expr", "lhs", "rhs", "vector_selector"):
        if hasattr(node, attribute):
            yield from selected(getattr(node, attribute))
    for argument in getattr(node, "args", ()):
        yield from selected(argument)


ALL_EXPRESSIONS = [rule["expr"] for rule in EACH_RULE] + [expr for board in BOARDS.values() for expr in asked_of(board)]


@dataclass(frozen=True)
class Prometheus:
    """A running one."""

    url: str
    client: aiohttp.ClientSession

    async def ask(self, expr: str) -> list[Any]:
        """An instant query's result."""
        async with self.client.get(f"{self.url}/api/v1/query", params={"query": expr}) as response:
            answer = await response.json()
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    async def until(self, expr: str, within_s: float = 60) -> None:
        """Return when an expression has a result."""
        async with asyncio.timeout(within_s):
            while not await self.is_there(expr):  # noqa: ASYNC110  it is asked over HTTP
                await asyncio.sleep(0.2)

    async def is_there(self, expr: str) -> bool:
        try:
            return bool(await self.ask(expr))
        except aiohttp.ClientError:
            return False  # not up yet


@contextmanager
def prometheus(folder: Path, targets: dict[str, list[str]]) -> Iterator[str]:
    """The shipped configuration and rules, with these targets and in a hurry; its address."""
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    del config["alerting"]
    for scraped in config["scrape_configs"]:
        scraped.pop("dns_sd_configs", None)
        scraped["static_configs"] = [{"targets": targets[scraped["job_name"]]}]
    rules = json.loads(json.dumps(RULES))
    for group in rules["groups"]:
        group["interval"] = "1s"
    (folder / "rules.yml").write_text(yaml.safe_dump(rules))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = processes.free_port()
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


async def work(client: aiohttp.ClientSession, url: str) -> None:
    """A little of everything: both kinds of decoding, a caller's mistake, silence."""
    for clip in (CLIP, CLIP, CLIP, CLIP, make.encoded(CLIP, "flac", "flac")):
        assert (await processes.ask(client, url, clip))[0] == 200
    assert (await processes.ask(client, url, b"no audio"))[0] == 400


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(tmp_path_factory) -> AsyncIterator[Prometheus]:
    """A router and two workers with the embedded model, worked and scraped until every recorded series is there."""
    if shutil.which("prometheus") is None:
        pytest.skip(missing("prometheus", "prometheus"))
    workers = [processes.worker("spoken-digits") for _ in range(2)]
    router = processes.router(workers, "--cache", "memory", "--wyoming-port", str(processes.free_port()))
    targets = {
        "whisper-fleet-router": [router.url.removeprefix("http://")],
        "whisper-fleet-worker": [worker.url.removeprefix("http://") for worker in workers],
    }
    async with processes.up(*workers, router) as client:
        with prometheus(tmp_path_factory.mktemp("prometheus"), targets) as url:
            one = Prometheus(url, client)
            await one.until("count(up == 1) == 3 and on () sum(count_over_time(stt_router_info[1m])) > 1")
            await work(client, router.url)
            for name in sorted(RECORDED):
                await one.until(name)
            for name in LATE:  # a rate needs two scrapes
                await one.until(f"min(count_over_time({name}[1m])) > 1")
            yield one


@live
async def test_every_metric_that_is_asked_for_exists(seen):
    """Rules and dashboards name nothing that the running fleet does not have."""
    async with seen.client.get(f"{seen.url}/api/v1/label/__name__/values") as response:
        there = set((await response.json())["data"])
    asked = set().union(*(metrics_in(expr) for expr in ALL_EXPRESSIONS))
    assert len(asked) > 40
    assert asked - {"ALERTS"} <= there  # no alert, no series; that it is well-formed PromQL is Prometheus's own


@live
@pytest.mark.parametrize("name", BOARDS)
async def test_every_panel_has_something_to_show(seen, name):
    """No expression of a dashboard gives an empty result, on a fleet that has been used a little."""
    empty = asked_of(BOARDS[name])
    for _ in range(SCRAPES_LATE_MAX):
        if not (empty := [expr for expr in empty if not await seen.ask(expr)]):
            break
        await asyncio.sleep(1)  # a service that was too late for a scrape shows nothing until the next
    assert empty == []


@live
async def test_the_stages_add_up(seen):
    """What Prometheus has of a fleet that just worked: encode and generate within engine, and audio counted once."""
    encode, generate, engine = (f"sum(fleet_worker_{stage}_seconds_sum)" for stage in ("encode", "generate", "engine"))
    await seen.until(f"({encode} + {generate} > 0) <= {engine}")
    # they are not scraped in the same moment
    await seen.until("abs(sum(fleet_worker_audio_seconds_total) - sum(stt_router_audio_seconds_total)) < 0.1")


@live
async def test_a_well_fleet_rings_no_bell(seen):
    """No alert fires or waits to, those apart that wait because the machine has others to serve as well."""
    assert await seen.ask(f'ALERTS{{alertstate="firing"}} or ALERTS{{alertname!~"{"|".join(MACHINES)}"}}') == []


def test_everything_that_is_asked_is_promql():
    """And selects something."""
    assert all(metrics_in(expr) for expr in ALL_EXPRESSIONS)


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_dashboards_are_what_grafana_reads(board):
    """By Grafana's own model; panels have titles and do not lie on each other."""
    read = Dashboard.from_json(board)
    assert read.title == board["title"]
    taken = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert panel["title"]
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells


def test_dashboards_are_as_they_would_be_written():
    """boards.py is where they are changed."""
    command = [sys.executable, DEPLOY / "grafana/write_dashboards.py", "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_every_alert_is_tried_and_says_what_to_do():
    """In promtool's tests it speaks at least once; its section stands in docs/operations.md."""
    tried = yaml.safe_load((DEPLOY / "prometheus/rules_test.yml").read_text())["tests"]
    spoken = {case["alertname"] for one in tried for case in one["alert_rule_test"] if case["exp_alerts"]}
    assert spoken == set(ALERTS)
    sections = re.findall(r"^### (\w+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert sections == list(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]


@pytest.mark.parametrize(
    "command",
    [
        ["promtool", "check", "config", "prometheus/prometheus.yml"],
        ["promtool", "test", "rules", "prometheus/rules_test.yml"],
        ["amtool", "check-config", "alertmanager/alertmanager.yml"],
    ],
    ids=" ".join,
)
def test_their_own_tools_are_content(command):
    """promtool and amtool say so."""
    if shutil.which(command[0]) is None:
        pytest.skip(missing(command[0], {"promtool": "prometheus", "amtool": "prometheus-alertmanager"}[command[0]]))
    said = subprocess.run(command, cwd=DEPLOY, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
