"""What the dashboards ask, and under which titles; write_dashboards.py makes of it what Grafana reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Asks = tuple[tuple[str, str], ...]  # expression, legend

OF_WORKER, OF_INSTANCE = '{worker=~"$worker"}', '{instance=~"$instance"}'
REQUESTS = "stt_router_requests_total"
UNANSWERED = '{code=~"5.."}'
ASKED = '{code!="499"}'  # who hangs up is nobody's failure
STAGES = ("queue_wait", "decode", "encode", "generate", "engine")


@dataclass(frozen=True)
class Panel:
    """One picture: its title, what to ask, and how to show it."""

    title: str
    asks: Asks
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    height: int = 7
    about: str = ""
    stacked: bool = False
    red_from: float | None = None  # a threshold, where one means something
    red_below: bool = False
    names: dict[str, str] = field(default_factory=dict)  # values that have names


@dataclass(frozen=True)
class Board:
    """One page; each row is a heading and its panels, left to right."""

    uid: str
    title: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    variables: tuple[tuple[str, str], ...] = ()  # name, label_values(...)
    since: str = "now-1h"


def stat(title: str, expr: str, unit: str = "short", **more: Any) -> Panel:
    """One number."""
    return Panel(title, ask(expr), unit, "stat", width=3, height=4, **more)


def ask(expr: str, legend: str = "") -> Asks:
    """A single question."""
    return ((expr, legend),)


def each(metric: str, by: str, selector: str = "", how: str = "sum") -> Asks:
    """A gauge by its labels, which are the legend."""
    return ask(f"{how} by ({by}) ({metric}{selector})", legend_of(by))


def rate(metric: str, by: str = "", selector: str = "") -> str:
    """How a counter grows, a second."""
    grouped = f"sum by ({by})" if by else "sum"
    return f"{grouped} (rate({metric}{selector}[$__rate_interval]))"


def rates(metric: str, by: str, selector: str = "") -> Asks:
    """How a counter grows, by its labels, which are the legend."""
    return ask(rate(metric, by, selector), legend_of(by))


def grown(metric: str, by: str, selector: str = "") -> Asks:
    """By how much a counter grew in what is shown."""
    return ask(f"sum by ({by}) (increase({metric}{selector}[$__range]))", legend_of(by))


def quantiles(metric: str, selector: str = "") -> Asks:
    """p50, p95 and p99 of a histogram."""
    buckets = rate(f"{metric}_bucket", "le", selector)
    return tuple((f"histogram_quantile({share / 100:g}, {buckets})", f"p{share}") for share in (50, 95, 99))


def mean(metric: str, by: str = "", selector: str = "") -> str:
    """The mean of a histogram."""
    return f"{rate(f'{metric}_sum', by, selector)} / {rate(f'{metric}_count', by, selector)}"


def legend_of(labels: str) -> str:
    """`worker, code` -> `{{worker}} {{code}}`."""
    return " ".join(f"{{{{{label.strip()}}}}}" for label in labels.split(","))


def process(job: str, selector: str = "") -> Panel:
    """What a kind of process takes."""
    chosen = f'{{job=~".*{job}"{selector}}}'
    return Panel(
        "CPU and memory",
        (
            (rate("process_cpu_seconds_total", "instance", chosen), "cores {{instance}}"),
            (f"sum by (instance) (process_resident_memory_bytes{chosen}) / 1e9", "GB {{instance}}"),
        ),
    )


HEALTHY = (
    stat("Workers ready", 'sum(stt_router_worker_state{state="ready"}) or vector(0)', red_from=1, red_below=True),
    stat("Workers known", "count(stt_router_worker_inflight)"),
    stat("Slots busy", "sum(stt_router_in_flight) / sum(stt_router_slots)", "percentunit"),
    stat("Expected wait", "max(stt_router_expected_wait_seconds)", "s", red_from=10),
    stat("Backlog", "sum(stt_router_backlog_seconds)", "s"),
    stat("Speed", rate("stt_router_audio_seconds_total"), about="Audio seconds a second."),
    stat(
        "Unanswered",
        f"{rate(REQUESTS, selector=UNANSWERED)} / {rate(REQUESTS, selector=ASKED)}",
        "percentunit",
        red_from=0.005,
    ),
    stat("Not scraped", 'count(up{job=~".*whisper-fleet-(router|worker)"} == 0) or vector(0)', red_from=1),
)
SLOW = (
    Panel("Wait for a slot", quantiles("stt_router_queue_wait_seconds"), "s", red_from=10),
    Panel("Whole request", quantiles("stt_router_request_seconds"), "s"),
    Panel(
        "Where the time goes",
        tuple((mean(f"fleet_worker_{stage}_seconds"), stage) for stage in STAGES),
        "s",
        about="Mean of each stage at the workers. engine is encode, generate and other requests' turns.",
    ),
    Panel("Queue", (("sum(stt_router_queue_length)", "waiting"), ("sum(stt_router_queue_limit)", "limit"))),
    Panel(
        "Work before the fleet",
        (
            ("sum(stt_router_backlog_seconds)", "waits or runs"),
            ("sum(stt_router_queue_work_seconds)", "waits"),
            ("max(stt_router_expected_wait_seconds)", "expected wait"),
        ),
        "s",
    ),
    Panel("Slots", (("sum(stt_router_in_flight)", "busy"), ("sum(stt_router_slots)", "usable"))),
)
ASKERS = (
    Panel("Requests", rates("stt_router_requests_total", "code, reason"), "reqps", stacked=True),
    Panel("Audio by class of key", rates("stt_router_audio_seconds_total", "key_class"), "none", stacked=True),
    Panel("Audio by worker", rates("stt_router_audio_seconds_total", "worker"), "none", stacked=True),
    Panel("Refused at the door", rates("stt_router_rejected_total", "reason"), "reqps"),
    Panel("Retry-After given", quantiles("stt_router_retry_after_seconds"), "s"),
    Panel("Callers who hung up", rates("stt_router_client_cancel_total", "phase"), "reqps"),
)
LIVE = (
    Panel(
        "Live sessions",
        (
            ("sum(stt_router_realtime_sessions)", "WebSocket"),
            ("sum(stt_router_realtime_sessions_limit)", "WebSocket, limit"),
            ("sum(stt_router_wyoming_connections)", "Wyoming"),
            ("sum(stt_router_wyoming_connections_limit)", "Wyoming, limit"),
        ),
    ),
    Panel(
        "Live audio",
        ask(rate("stt_router_realtime_audio_seconds_total"), "sent"),
        "none",
        about="Seconds a second: how many speak at once, pauses included.",
    ),
    Panel(
        "Live sessions asked for",
        (
            *rates("stt_router_realtime_handshakes_total", "outcome"),
            (rate("stt_router_wyoming_refused_total"), "refused, Wyoming"),
        ),
        "ops",
    ),
)
JOBS = (
    Panel(
        "Jobs in the store",
        each("fleet_jobs", "state", how="max"),
        stacked=True,
        about="Routers that share a store all count all of it, so this is the most that one says.",
    ),
    Panel("Oldest job that waits", ask("max(fleet_jobs_oldest_seconds)", "waits"), "s", red_from=3600),
    Panel("Runs of jobs", rates("fleet_jobs_ended_total", "outcome"), "ops"),
    Panel(
        "The store of jobs",
        (
            ("max(fleet:jobs_kept:ratio)", "fuller of the two"),
            ("max(fleet_jobs_kept_bytes / fleet_jobs_kept_limit_bytes)", "bytes"),
        ),
        "percentunit",
        red_from=0.8,
    ),
    Panel(
        "Answers given again",
        rates("stt_router_cache_total", "outcome"),
        "reqps",
        stacked=True,
        about="Empty where CACHE is off. joined: an equal request was under way.",
    ),
    Panel(
        "Hit rate of the cache, calls of its store that failed",
        (
            ("avg(stt_router_cache_hit_ratio)", "hit rate since the start"),
            (rate("stt_router_cache_failures_total"), "failed calls a second"),
        ),
    ),
)
ROUTER = (
    Panel(
        "Attempts that failed",
        (
            *rates("stt_router_retries_total", "reason"),
            (rate("stt_router_redispatch_total"), "was busy after all"),
            (rate("stt_router_retry_budget_denied_total"), "no budget"),
        ),
        "ops",
    ),
    Panel(
        "Spool",
        ask("sum by (where) (stt_router_spool_bytes) / sum by (where) (stt_router_spool_limit_bytes)", "{{where}}"),
        "percentunit",
        red_from=0.6,
    ),
    Panel("Uploads", ask(rate("stt_router_upload_bytes_total"), "bytes"), "Bps"),
    Panel("Lateness of the event loop", quantiles("stt_router_loop_lag_seconds"), "s", red_from=0.1),
    Panel("Real over estimated work", quantiles("stt_router_estimate_error_ratio"), about="1 is a perfect estimate."),
    process("router"),
)
FLEET = Board(
    "whisper-fleet",
    "whisper-fleet",
    (
        ("Is it healthy?", HEALTHY),
        ("Why slow?", SLOW),
        ("Who asks, and what becomes of it", ASKERS),
        ("Live sessions", LIVE),
        ("Jobs and kept answers", JOBS),
        ("The router itself", ROUTER),
    ),
)

SEEN_BY_ROUTER = (
    Panel(
        "State",
        each("stt_router_worker_state", "worker, state", OF_WORKER, how="max"),
        kind="state-timeline",
        width=16,
        names={"1": "is"},
    ),
    Panel(
        "Breaker",
        each("stt_router_worker_breaker_state", "worker", OF_WORKER, how="max"),
        kind="state-timeline",
        names={"0": "closed", "1": "half-open", "2": "open"},
    ),
    Panel("In flight", each("stt_router_worker_inflight", "worker", OF_WORKER)),
    Panel("Work", each("stt_router_worker_work_seconds", "worker", OF_WORKER), "s"),
    Panel("Probe", each("stt_router_worker_probe_seconds", "worker", OF_WORKER, how="max"), "s"),
    Panel(
        "Real-time factor",
        each("stt_router_worker_rtf", "worker", OF_WORKER, how="max"),
        about="Seconds of compute a second of audio, learned.",
    ),
    Panel(
        "Real-time factor against the last day's",
        each("fleet:worker_rtf:drift", "worker", OF_WORKER, how="max"),
        red_from=1.5,
    ),
    Panel("Attempts", rates("stt_router_worker_requests_total", "worker, code", OF_WORKER), "ops"),
    Panel("Times ejected", grown("stt_router_worker_breaker_open_total", "worker", OF_WORKER)),
)
SEEN_BY_ITSELF = (
    Panel("Ready", each("fleet_worker_ready", "instance", OF_INSTANCE)),
    Panel(
        "Slots and the worker's queue",
        (
            (f"sum by (instance) (fleet_worker_in_flight{OF_INSTANCE})", "busy {{instance}}"),
            (f"sum by (instance) (fleet_worker_queue_depth{OF_INSTANCE})", "waits {{instance}}"),
            (f"sum by (instance) (fleet_worker_slots{OF_INSTANCE})", "slots {{instance}}"),
        ),
    ),
    Panel("Requests", rates("fleet_worker_requests_total", "code", OF_INSTANCE), "reqps", stacked=True),
    Panel("Wait in the worker's queue", quantiles("fleet_worker_queue_wait_seconds", OF_INSTANCE), "s"),
    Panel("Decode: upload to samples", quantiles("fleet_worker_decode_seconds", OF_INSTANCE), "s"),
    Panel("Encode: share of a request", quantiles("fleet_worker_encode_seconds", OF_INSTANCE), "s"),
    Panel("Generate: share of a request", quantiles("fleet_worker_generate_seconds", OF_INSTANCE), "s"),
    Panel("Engine: samples to last segment", quantiles("fleet_worker_engine_seconds", OF_INSTANCE), "s"),
    Panel("Whole request", quantiles("fleet_worker_request_seconds", OF_INSTANCE), "s"),
    Panel("Compute for each second of audio", quantiles("fleet_worker_rtf_ratio", OF_INSTANCE)),
    Panel("Windows in a model call", ask(mean("fleet_worker_batch_windows", "instance", OF_INSTANCE), "{{instance}}")),
    Panel("Audio", rates("fleet_worker_audio_seconds_total", "instance", OF_INSTANCE), "none", stacked=True),
    Panel(
        "Decode children that a file ended",
        grown("fleet_worker_decode_child_deaths_total", "instance", OF_INSTANCE),
    ),
    Panel("Work in the gate", each("fleet_worker_work_seconds", "instance", OF_INSTANCE), "s"),
    process("worker", ', instance=~"$instance"'),
)
WORKER = Board(
    "whisper-fleet-worker",
    "whisper-fleet, workers",
    (("As the router sees them", SEEN_BY_ROUTER), ("As they see themselves", SEEN_BY_ITSELF)),
    variables=(
        ("worker", "label_values(stt_router_worker_inflight, worker)"),
        ("instance", "label_values(fleet_worker_ready, instance)"),
    ),
)


def promise(series: str, budget: float, about: str) -> tuple[Panel, ...]:
    """One row of the SLO board: what was kept, what is left, how fast it goes."""
    kept, spans = f"1 - {series}:ratio_rate3d", ("5m", "30m", "1h", "6h")
    return (
        stat("Kept, 3 days", kept, "percentunit", red_from=1 - budget, red_below=True, about=about),
        stat("Budget used, 3 days", f"{series}:ratio_rate3d / {budget:g}", "percentunit", red_from=1),
        stat("Burn rate, 1 h", f"{series}:ratio_rate1h / {budget:g}", red_from=14.4),
        stat("Burn rate, 6 h", f"{series}:ratio_rate6h / {budget:g}", red_from=6),
        Panel(
            "Burn rate",
            tuple((f"{series}:ratio_rate{span} / {budget:g}", span) for span in spans),
            width=12,
            about="1 uses the budget exactly; 14.4 for an hour, or 6 for six hours, is an alert.",
            red_from=14.4,
        ),
    )


THREATS = (
    Panel(
        "Alerts",
        ask('sum by (alertname) (ALERTS{alertstate="firing"}) or vector(0)', "{{alertname}}"),
        width=12,
    ),
    Panel("Spool", ask("fleet:spool:ratio", "{{instance}}"), "percentunit", width=12, red_from=0.6),
)
SLO = Board(
    "whisper-fleet-slo",
    "whisper-fleet, promises",
    (
        (
            "99.5 % of requests are answered",
            promise("fleet:unanswered", 0.005, "Refusals for lack of room count as unanswered."),
        ),
        (
            "99 % of requests wait at most 10 s for a slot",
            promise("fleet:waited", 0.01, "Of those that were answered."),
        ),
        ("What threatens them", THREATS),
    ),
    since="now-3d",
)

BOARDS = {"fleet": FLEET, "worker": WORKER, "slo": SLO}
