"""
/lb-status for people: the document of router.status as one HTML page (core: a document in, markup out).

The page is whole without JavaScript. With it, static/status.js fetches the same page every second and takes over what
changed, so that there is one renderer and it is this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fleet.figure import figure
from router.markup import Markup, element, joined
from router.status import TITLE
from router.trend import MOMENTS, Trend

EVENTS_SHOWN = 30
RUNNING_SHOWN = 4  # of a worker's requests, those that run longest: one with 16 slots is one row, not a page
CURVE_HEIGHT = 28
NO_ADMIN = "To drain workers from here, set ADMIN_KEY on the router."

SPOKEN = {"refused": "down"}  # beside the tile of refused callers, a worker nobody listens at needs another word

# a shape for each word, so that colour is never the only sign; the tone picks the colour
SIGNS = {
    "ready": ("●", "good"),
    "loading": ("◔", "busy"),
    "warming": ("◑", "busy"),
    "unknown": ("○", "busy"),
    "draining": ("▽", "busy"),
    "half open": ("◐", "busy"),
    "ejected": ("■", "bad"),
    "silent": ("▲", "bad"),
    "down": ("✕", "bad"),
    "broken": ("✕", "bad"),
    "stopped": ("✕", "bad"),
}
COLUMNS = {  # and what a pointer over them explains
    "Worker": "Its name, its model, and what that runs on",
    "State": "And why, where it takes no requests",
    "Since": "How long it has been in this state",
    "In flight": "Requests there, of its slots; how long each runs, and how long it was thought to take",
    "RTF": "Real-time factor: seconds of work for a second of audio",
    "Latency": "Of the last requests that it answered, waiting included: half of them, and 19 of 20, were faster",
    "Answers": "Since the router started",
    "Breaker": "Opens after failures in a row: for a while the worker gets no requests",
    "Probe": "How fast it said last how it is",
    "": "",
}


def page(document: dict[str, Any], trend: Trend, *, has_admin: bool) -> str:
    """The page; `document` is Status.to_json(), `has_admin` whether the router has a key that lets somebody drain."""
    body = element(
        "main",
        _tiles(document),
        _curves(trend),
        _workers(document["workers"], has_admin),
        _events(document["events"]),
        id="live",
    )
    return _shell(_stamp(document), body)


def locked() -> str:
    """The page of who has not given the key: nothing but the question for it."""
    ask = element(
        "form",
        element("label", "API key ", element("input", type="password", name="key", autocomplete="off", required=True)),
        " ",
        element("button", "Show", type="submit"),
        element("p", "It stays in this tab. Without JavaScript, ask for the JSON with an Authorization header."),
        id="unlock",
    )
    return _shell("This router asks for a key.", element("main", ask, id="live"))


def state_of(worker: dict[str, Any]) -> str:
    """One word: the worker's state, or the breaker's where that is what keeps requests away."""
    circuit = str(worker["breaker"]["state"])
    if worker["state"] == "ready" and circuit != "closed":
        return "ejected" if circuit == "open" else "half open"
    return _spoken(str(worker["state"]))


def _spoken(state: str) -> str:
    return SPOKEN.get(state, state)


def _shell(stamp: str, main: Markup) -> str:
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", TITLE),
        element("link", rel="icon", href="/static/icon.svg"),
        element("link", rel="stylesheet", href="/static/style.css"),
        element("script", type="module", src="/static/status.js"),
    )
    links = (("Playground", "/"), ("API", "/docs"), ("Metrics", "/metrics"))
    nav = element("nav", *(element("a", text, href=href) for text, href in links), aria_label="Pages")
    header = element("header", element("h1", TITLE), element("p", stamp, id="stamp"), nav)
    trouble = element("p", id="trouble", role="status", hidden=True)
    body = element("body", header, trouble, main, _dialog(), class_="status")
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _dialog() -> Markup:
    key = element("input", type="password", name="key", autocomplete="off", required=True)
    cancel = element("button", "Cancel", type="button", value="cancel")
    buttons = element("p", element("button", "Go on", value="ok"), " ", cancel)
    form = element("form", element("p", id="question"), element("label", "Admin key ", key), buttons, method="dialog")
    return element("dialog", form, id="ask", aria_labelledby="question")


def _stamp(document: dict[str, Any]) -> str:
    router = document["router"]
    said = f"router {router['id']}, {router['version']}, {router['state']}, up {span(router['uptime_s'])}"
    panic = ", PANIC: most workers are out, so ejection is ignored" if router["panic"] else ""
    return f"{said}{panic}, at {document['now'][11:19]} UTC"


def _tiles(document: dict[str, Any]) -> Markup:
    fleet, queue, totals, rates = (document[name] for name in ("fleet", "queue", "totals", "rates_1m"))
    tiles = (
        ("Ready", f"{fleet['ready']}/{fleet['workers']}", "workers", fleet["ready"] < fleet["workers"]),
        ("Busy", f"{fleet['busy']}/{fleet['slots']}", "slots", False),
        ("Backlog", span(fleet["backlog_s"]), f"{queue['len']} of {queue['max']} waiting", False),
        ("Expected wait", span(fleet["expected_wait_s"]), "if you came now", fleet["expected_wait_s"] > 10),
        ("Speed", f"{figure(fleet['rate_audio_x'])} x", "real time, last minute", False),
        ("Refused", f"{totals['refused']}", f"{rates['reject_pct']:g} % in the last minute", rates["reject_pct"] > 0),
        ("Failed", f"{totals['failed']}", f"{rates['err_pct']:g} % in the last minute", rates["err_pct"] > 0),
        ("Retried", f"{totals['retries']}", "failed tries, run again elsewhere", False),
        *_door_tiles(document),
    )
    return element("dl", *(_tile(*tile) for tile in tiles), class_="tiles")


def _door_tiles(document: dict[str, Any]) -> Iterator[tuple[str, str, str, bool]]:
    live, jobs = document.get("realtime"), document.get("jobs")
    if live is not None:
        yield "Live", f"{live['sessions']}", f"of {live['max']} sessions", live["sessions"] >= live["max"] > 0
    if jobs is not None:
        oldest = f", the oldest {span(jobs['oldest_s'])}" if jobs["queued"] else ""
        yield "Jobs", f"{jobs['queued']}", f"waiting{oldest}; {jobs['running']} running", False


def _tile(name: str, value: str, unit: str, is_notable: bool) -> Markup:
    mark = element("span", "! ", title="worth a look") if is_notable else None
    told = element("dd", mark, element("b", value), element("small", unit))
    return element("div", element("dt", name), told, class_="notable" if is_notable else None)


def _curves(trend: Trend) -> Markup:
    curves = (
        ("Backlog", trend.backlog_s(), "s"),
        ("Expected wait", trend.expected_wait_s(), "s"),
        ("Refusals", trend.refusals(), ""),
    )
    return element("section", *(_curve(*curve) for curve in curves), class_="curves", aria_label="Last five minutes")


def _curve(name: str, values: Sequence[float], unit: str) -> Markup:
    top = max(values, default=0)
    text = f"{name}, 5 min: at most {f'{figure(top)} {unit}' if unit else f'{top:g}'}"
    drawn = element("polyline", points=points(values), vector_effect="non-scaling-stroke")
    svg = element(
        "svg",
        drawn,
        viewBox=f"0 0 {MOMENTS} {CURVE_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=text,
    )
    return element("figure", svg, element("figcaption", text))


def points(values: Sequence[float]) -> str:
    """A curve's points, the newest at the right edge; the highest value touches the top, zero the bottom."""
    top = max(values, default=0) or 1
    shift = MOMENTS - len(values)
    flat = CURVE_HEIGHT - 2
    return " ".join(f"{shift + at},{flat - flat * value / top + 1:.1f}" for at, value in enumerate(values))


def _workers(workers: Iterable[dict[str, Any]], has_admin: bool) -> Markup:
    seek = element("input", id="filter", type="search", placeholder="name, state, model")
    closed = None if has_admin else joined(" ", element("small", NO_ADMIN))
    tools = element("p", element("label", "Filter ", seek), closed, class_="live-only")
    titles = (element("th", name, scope="col", title=meaning or None) for name, meaning in COLUMNS.items())
    head = element("thead", element("tr", *titles))
    rows = [_worker(worker, has_admin) for worker in workers]
    empty = element("tr", element("td", "No workers. Give the router WORKERS, or POST /admin/workers.", colspan="10"))
    table = element("table", head, element("tbody", *(rows or [empty])), class_="workers")
    return element("section", element("h2", "Workers"), tools, table)


def _worker(worker: dict[str, Any], has_admin: bool) -> Markup:
    state, breaker, latency = state_of(worker), worker["breaker"], worker["lat_s"]
    shape, tone = SIGNS.get(state, ("○", "busy"))
    about = ", ".join(str(worker[name]) for name in ("model", "device", "compute_type") if worker[name])
    why = element("small", worker["why"].removeprefix(f"{state}: ")) if worker["why"] else None
    cells = (
        (element("b", worker["id"]), element("small", about)),
        (element("span", f"{shape} {state}", class_=f"state {tone}"), why),
        (span(worker["since_s"]),),
        (_in_flight(worker),),
        (figure(worker["rtf"]),),
        _latency(latency),
        (f"{worker['ok']} ok", element("small", _others(worker))),
        (
            breaker["state"].replace("_", " "),
            element(
                "small", f"failed: {breaker['last_error']}" if breaker["last_error"] else _opened(breaker["opened"])
            ),
        ),
        (_probe(worker["probe"]),),
        (_verbs(worker, has_admin),),
    )
    labelled = zip(COLUMNS, cells, strict=True)
    row = (element("td", *cell, data_label=column or None) for column, cell in labelled)
    return element("tr", *row, data_worker=worker["id"], data_state=state, class_=tone)


def _latency(latency: dict[str, float | None]) -> tuple[object, ...]:
    if latency["p50"] is None:
        return ("none yet",)
    return f"p50 {span(latency['p50'])}", element("small", f"p95 {span(latency['p95'])}")


def _others(worker: dict[str, Any]) -> str:
    gone = f", {worker['cancel']} hung up" if worker["cancel"] else ""
    return f"{worker['err']} failed{gone}"


def _opened(times: int) -> str:
    return f"opened {times} times" if times else "never opened"


def _probe(probe: dict[str, Any]) -> str:
    if probe["ms"] is None:
        return "none yet"
    return span(probe["ms"] / 1000) if probe["ok"] else "no answer"


def _in_flight(worker: dict[str, Any]) -> Markup:
    others = f", {worker['others_inflight']} from elsewhere" if worker["others_inflight"] else ""
    longest = sorted(worker["running"], key=lambda running: float(running["elapsed_s"]), reverse=True)
    bars = (_bar(running) for running in longest[:RUNNING_SHOWN])
    hidden = len(longest) - RUNNING_SHOWN
    more = element("small", f"and {hidden} more") if hidden > 0 else None
    return joined(f"{worker['inflight']}/{worker['slots']}{others}", *bars, more)


def _bar(running: dict[str, Any]) -> Markup:
    elapsed_s, est_s = running["elapsed_s"], max(running["est_s"], 0.001)
    told = f"{span(elapsed_s)} of about {span(est_s)}"
    bar = element("progress", max=f"{est_s:.3f}", value=f"{min(elapsed_s, est_s):.3f}", aria_label=told)
    return element("small", bar, told, title=f"{running['rid']}, {span(running['audio_s'])} of audio", class_="running")


def _verbs(worker: dict[str, Any], has_admin: bool) -> Markup:
    verbs = ["undrain" if worker["state"] == "draining" else "drain"]
    if worker["breaker"]["state"] != "closed":
        verbs.append("reset")
    closed = {} if has_admin else {"disabled": True, "title": NO_ADMIN}
    buttons = (element("button", verb.capitalize(), type="button", data_verb=verb, **closed) for verb in verbs)
    return element("span", *buttons, class_="live-only verbs")


def _events(events: Sequence[dict[str, Any]]) -> Markup:
    lines = (_event(event) for event in reversed(events[-EVENTS_SHOWN:]))
    return element("section", element("h2", "Events"), element("ol", *lines, class_="events"))


def _event(event: dict[str, Any]) -> Markup:
    when = element("time", event["t"][11:19], datetime=event["t"])
    was, before = event["detail"][:4], event["detail"][4:]
    detail = f"was {_spoken(before)}" if was == "was " else event["detail"]
    worker, happened = element("b", event["worker"]), f" {_spoken(event['event'])} "
    return element("li", when, " ", worker, happened, element("small", detail))


def span(seconds: float | None) -> str:
    """A duration for people: two digits that matter and the unit."""
    if seconds is None:
        return "none yet"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds else "0 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
