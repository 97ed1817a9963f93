from dataclasses import replace

from fleet.stages import Stages
from router.ledger import WORKERS_KEPT, Finished, Ledger, outcome_of, percentiles


def finished(*, status: int = 200, code: str = "ok", at: float = 0.0, took_s: float = 1.0) -> Finished:
    return Finished(
        at=at,
        status=status,
        code=code,
        wait_s=0.5,
        took_s=took_s,
        audio_s=10,
        attempts=1,
        worker="w0",
        tenant="",
        key_class="none",
        stages=Stages(),
    )


def test_every_end_of_a_request_has_one_name():
    """
    Whose fault it was is plain from the outcome.
    """
    cases = {
        (200, "ok"): "ok",
        (400, "caller_error"): "caller_error",
        (401, "invalid_api_key"): "caller_error",
        (503, "overloaded"): "refused",
        (429, "rate_limit_exceeded"): "refused",
        (499, "client_closed"): "cancelled",
        (504, "deadline_exceeded"): "deadline",
        (502, "upstream_failed"): "failed",
        (500, "internal_error"): "failed",
    }

    assert {case: outcome_of(finished(status=case[0], code=case[1])) for case in cases} == cases


def test_percentiles_are_by_rank_and_none_where_there_is_nothing():
    """
    Never a mean.
    """
    assert percentiles([]) == {"p50": None, "p95": None, "p99": None}
    assert percentiles(range(100)) == {"p50": 50, "p95": 95, "p99": 99}


def test_rates_cover_the_last_minute():
    """
    What is older does not count.
    """
    ledger = Ledger()
    for at in (0, 100, 110):
        ledger.note(finished(at=at))
    ledger.note(finished(at=115, status=503, code="overloaded"))

    rates = ledger.rates(now=120)

    assert rates == {"req_s": 0.05, "audio_s_per_s": 0.333, "err_pct": 0, "reject_pct": 33.33}
    assert ledger.totals["requests"] == 4
    assert ledger.by_worker["w0"]["ok"] == 3


def test_what_no_worker_saw_is_nobody_s_share():
    """
    A caller's broken upload is a request, and none that could be shared among workers.
    """
    ledger = Ledger()
    for worker in ("w0", None, "w1"):
        ledger.note(replace(finished(), worker=worker))

    assert (ledger.at_workers, ledger.totals["requests"]) == (2, 3)


def test_names_of_workers_do_not_pile_up():
    """
    A router that runs for years before pods that come and go remembers the last thousand.
    """
    ledger = Ledger()
    for number in range(3000):
        ledger.note(replace(finished(), worker=f"w{number}"))

    assert len(ledger.by_worker) == WORKERS_KEPT
    assert ledger.by_worker["w2999"]["ok"] == 1
