"""The shape of the code: who imports whom, how long things are, and that every file has its tests."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("fleet", "router", "worker", "loadtest", "bench")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MODULES = [path for path in SOURCES if path.name != "__init__.py"]

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 450  # past 300 a file is looked at for its second idea
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc", "base", "core"}

# Decisions and state: no I/O, no clock, no task. The simulator and the property tests run them in virtual time.
CORE = {
    "fleet/cost.py",
    "fleet/errors.py",
    "fleet/fields.py",
    "fleet/form.py",
    "fleet/language.py",
    "fleet/models.py",
    "fleet/progress.py",
    "fleet/render.py",
    "fleet/settings.py",
    "fleet/size.py",
    "fleet/stages.py",
    "fleet/wire.py",
    "router/admission.py",
    "router/allowance.py",
    "router/assign.py",
    "router/bucket.py",
    "router/cache/answer.py",
    "router/cache/key.py",
    "router/description/document.py",
    "router/description/fields.py",
    "router/description/jobs.py",
    "router/description/operations.py",
    "router/description/page.py",
    "router/description/schemas.py",
    "router/deferred/callback.py",
    "router/deferred/capacity.py",
    "router/deferred/gate.py",
    "router/deferred/record.py",
    "router/deferred/verdict.py",
    "router/duration.py",
    "router/ejection.py",
    "router/estimate.py",
    "router/keyring.py",
    "router/ledger.py",
    "router/limits.py",
    "router/lockout.py",
    "router/markup.py",
    "router/offer.py",
    "router/policy.py",
    "router/pool.py",
    "router/queue_order.py",
    "router/realtime/config.py",
    "router/realtime/draft.py",
    "router/realtime/events.py",
    "router/realtime/track.py",
    "router/realtime/turns.py",
    "router/retry.py",
    "router/signpost.py",
    "router/status_page.py",
    "router/story.py",
    "router/ticket.py",
    "router/trend.py",
    "router/upstream.py",
    "router/wyoming_speech.py",
    "worker/card.py",
    "worker/decoding.py",
    "worker/device.py",
    "worker/fallback.py",
    "worker/forms.py",
    "worker/headers.py",
    "worker/segments.py",
    "worker/speech.py",
    "worker/window.py",
}
IMPURE = {"asyncio", "aiohttp", "socket", "threading", "subprocess"}
ENGINES = {"faster_whisper", "ctranslate2"}
KNOW_THE_ENGINE = {
    "worker/engine.py",
    "bench/bare.py",  # the ceiling has nothing of ours between it and the engine
    "bench/models.py",  # writes the engine's model files
}

# Files whose claims are tested elsewhere, each with where.
NO_TWIN = {
    "fleet/start.py": "run by every process; its errors: tests/worker/test_process.py, tests/fleet/test_cli.py",
    "fleet/up.py": "whole fleets: tests/integration/test_up.py",
    "router/deferred/database.py": "protocols; tests/contracts/test_job_store.py holds both databases to them",
    "router/deferred/postgres.py": "tests/contracts/test_job_store.py, tests/chaos/test_jobs.py",
    "router/deferred/rows.py": "what tests/contracts/test_job_store.py asks the store for, on both databases",
    "router/deferred/schema.py": "the tables that tests/contracts/test_job_store.py uses",
    "router/deferred/service.py": "builds the parts; built by every test of tests/router/deferred/test_desk.py",
    "router/deferred/store.py": "tests/contracts/test_job_store.py, on both databases",
    "router/__main__.py": "started by every whole fleet",
    "router/app.py": "builds the parts; built by every test of tests/router/test_api.py",
    "router/intake.py": "what tests/router/test_api.py and tests/router/test_door.py call",
    "router/description/jobs.py": "a table; test_document.py beside it compares it with the routes",
    "router/description/operations.py": "a table; test_document.py beside it compares it with the routes",
    "router/description/schemas.py": "a table; test_document.py holds real answers against it",
    "router/job.py": "a record and a protocol; nothing in it decides",
    "router/wyoming_session.py": "what the tests of the door talk to: tests/router/test_wyoming.py",
    "worker/__main__.py": "started by every whole fleet",
    "worker/app.py": "builds the parts; built by every test of tests/worker/test_api.py",
    "bench/__main__.py": "run by tests/bench/test_main.py",
    "bench/bare.py": "tests/bench/test_models.py",
    "bench/ceiling.py": "run by tests/bench/test_main.py",
    "bench/crowd.py": "run by the quick benchmark",
    "bench/overhead.py": "run by tests/bench/test_main.py",
    "bench/passthrough.py": "run by tests/bench/test_main.py",
    "bench/plot.py": "tests/bench/test_report.py",
    "bench/session.py": "run by tests/bench/test_main.py",
    "bench/stand.py": "run by tests/bench/test_main.py",
    "bench/windows.py": "run by the quick benchmark",
    "worker/memory.py": "three settings of the C library; what they do is seen in tests/worker/test_process.py",
    "loadtest/__main__.py": "started by the load test's own tests",
}


def name_of(path):
    """As it is written in the lists above."""
    return path.relative_to(ROOT).as_posix()


def imports_of(path):
    """Every module that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def tops(path):
    """The first names of what a file imports."""
    return {module.partition(".")[0] for module in imports_of(path)}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_run_one_way(path):
    """Router, worker and load test import fleet, never each other; fleet imports none of them."""
    own = name_of(path).partition("/")[0]
    allowed = {own} if own == "fleet" else {own, "fleet"}
    assert not (tops(path) & set(PACKAGES)) - allowed


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_one_file_knows_the_engine(path):
    """Of what serves, only worker/engine.py meets faster_whisper and ctranslate2."""
    if name_of(path) not in KNOW_THE_ENGINE:
        assert not tops(path) & ENGINES


@pytest.mark.parametrize("name", sorted(CORE))
def test_core_is_pure(name):
    """What decides neither waits nor reaches out."""
    assert not tops(ROOT / name) & IMPURE


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_size_and_name(path):
    """A docstring first, functions that fit a screen, a name that says what is inside."""
    text = path.read_text()
    tree = ast.parse(text)

    assert ast.get_docstring(tree), "no docstring"
    assert path.stem not in VAGUE_NAMES
    assert text.count("\n") <= FILE_LINES_MAX
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES_MAX, f"{node.name} is too long"


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name == "__init__.py"], ids=name_of)
def test_packages_do_nothing_when_imported(path):
    """An __init__ is a docstring; fleet's also holds the version."""
    body = ast.parse(path.read_text()).body
    assert isinstance(body[0], ast.Expr)
    names = [target.id for node in body[1:] if isinstance(node, ast.Assign) for target in node.targets]
    assert names == (["__version__"] if path.parent.name == "fleet" else [])
    assert len(body) == 1 + len(names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_file_has_its_tests(path):
    """worker/gate.py has tests/worker/test_gate.py, or a reason in the list above."""
    name = name_of(path)
    if name not in NO_TWIN:
        twin = ROOT / "tests" / Path(name).parent / f"test_{path.stem}.py"
        assert twin.is_file(), f"{name_of(twin)} is missing"


def test_a_newcomer_reads_the_router_in_one_sitting():
    """The four files that hold its idea have fewer than 500 lines together."""
    files = ["__init__.py", "dispatch.py", "pool.py", "policy.py"]
    assert sum(len((ROOT / "router" / name).read_text().splitlines()) for name in files) < 500


def test_lists_are_not_stale():
    """Every file that a list names exists."""
    assert not [name for name in CORE if not (ROOT / name).is_file()]
    assert not [name for name in NO_TWIN if not (ROOT / name).is_file() and not name.startswith("loadtest")]
