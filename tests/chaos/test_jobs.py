"""A small run of `python -m tests.chaos.jobs`; docs/jobs.md has the figures of the full one."""

import pytest

from tests.chaos.jobs import Plan, run

SMALL = {"jobs": 40, "kills": 8, "engine_s": 0.2, "pause_s": 0.8, "within_s": 100}

pytestmark = pytest.mark.real


@pytest.mark.parametrize(("on_postgres", "routers"), [(False, 1), (True, 2)], ids=["sqlite", "postgres"])
def test_what_was_acknowledged_is_done_once(on_postgres: bool, routers: int):
    """
    Routers and workers are killed with -9 at random moments: every job has its own result, and no other job is there.
    """
    report = run(Plan(routers=routers, **SMALL), on_postgres=on_postgres)
    assert not report.wrong, report
    assert len(report.acknowledged) == SMALL["jobs"]
    assert report.killed.total() == SMALL["kills"]
