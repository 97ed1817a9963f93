import pytest

from router.queue_order import Queue, Usage, order_key
from tests.router.made import waiting


def test_a_short_request_passes_a_long_one_that_came_just_before():
    """
    Size counts for a bounded number of seconds of arrival.
    """
    queue = Queue(10)
    long, short = waiting(at=0, est_s=72), waiting(at=5, est_s=0.2)
    queue.add(long)
    queue.add(short)

    assert list(queue.in_order(5)) == [short, long]


def test_an_hour_of_audio_is_passed_only_by_what_arrives_within_95_seconds():
    """
    The bound on overtaking is alpha * log2(1 + est / 0.1).
    """
    assert order_key(0, 72) == pytest.approx(94.9, abs=0.1)
    assert order_key(95, 0.0) > order_key(0, 72)
    assert order_key(94, 0.0) < order_key(0, 72)


def test_a_client_that_returns_after_a_refusal_is_ahead_of_equals():
    """
    A client's own retry is aged by a minute, but not without end.
    """
    assert order_key(100, 1, client_retries=1) == order_key(40, 1)
    assert order_key(1000, 1, client_retries=900) == order_key(820, 1)


def test_the_key_that_used_less_goes_first():
    """
    Between tenants usage decides, whatever the arrival.
    """
    queue = Queue(10)
    flood, modest = waiting(at=0, tenant="a"), waiting(at=50, tenant="b")
    queue.add(flood)
    queue.add(modest)
    queue.charge("a", 30, now=50)
    queue.charge("b", 1, now=50)

    assert list(queue.in_order(50)) == [modest, flood]


def test_usage_is_forgotten_by_halves():
    """
    What was used a few half-lives ago no longer counts against a tenant.
    """
    usage = Usage()
    usage.add("a", 30, now=0)

    assert usage.rank("a", 0) > usage.rank("a", 30) > usage.rank("a", 600) == 0


def test_removing_twice_does_no_harm_and_work_adds_up():
    """
    Counts follow the list itself, so they cannot drift from it.
    """
    queue = Queue(2)
    first, second = waiting(est_s=1), waiting(est_s=4)
    queue.add(first)
    queue.add(second)
    assert queue.is_full
    assert queue.work_s() == 5
    assert queue.work_ahead_s(second.key, "", 0) == 1

    queue.remove(first)
    queue.remove(first)

    assert (len(queue), queue.work_s(), queue.max_seen) == (1, 4, 2)


def test_work_ahead_of_a_tenant_is_what_would_really_go_first():
    """
    Another tenant's flood is not before a request that would pass all of it.
    """
    queue = Queue(10)
    for _ in range(5):
        queue.add(waiting(est_s=3, tenant="flood"))
    queue.charge("flood", 100, now=0)

    assert queue.work_ahead_s(50, "modest", 0) == 0
    assert queue.work_ahead_s(50, "flood", 0) == 15


def test_a_tenant_cannot_fill_the_queue_for_others():
    """
    Beside a tenant that has filled it, others find places up to their share, and twice the limit is the end.
    """
    queue = Queue(4)
    for _ in range(4):
        queue.add(waiting(tenant="flood"))
    assert queue.is_full_for("flood")

    for tenant in ("modest", "modest", "third", "fourth"):
        assert not queue.is_full_for(tenant)
        queue.add(waiting(tenant=tenant))

    assert queue.is_full_for("modest")
    assert queue.is_full_for("fifth")


def test_what_was_charged_too_much_is_taken_back():
    """
    A guess at its start, the truth at its end; nobody gets below nothing.
    """
    queue = Queue(10)
    queue.charge("modest", 100, 0)
    queue.charge("modest", -99, 0)
    queue.charge("other", 2, 0)
    queue.charge("nobody", -5, 0)
    queue.charge("nobody", 3, 0)
    for tenant in ("nobody", "other", "modest"):
        queue.add(waiting(tenant=tenant))

    assert [each.tenant for each in queue.in_order(0)] == ["modest", "other", "nobody"]
