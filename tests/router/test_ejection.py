from random import Random

from router.ejection import Circuit, Ejection

RNG = Random(7)


def test_three_failures_in_a_row_take_a_worker_out():
    """
    Two are bad luck, three are a broken worker.
    """
    ejection = Ejection()

    assert not ejection.fail(0, "lost", RNG)
    assert not ejection.fail(0, "lost", RNG)
    assert ejection.circuit(0) is Circuit.CLOSED
    assert ejection.fail(0, "lost", RNG)
    assert ejection.circuit(0) is Circuit.OPEN


def test_a_success_in_between_forgives():
    """
    In a row means in a row.
    """
    ejection = Ejection()
    for _ in range(4):
        ejection.fail(0, "lost", RNG)
        ejection.fail(0, "lost", RNG)
        for _ in range(3):
            ejection.succeed(0)

    assert ejection.circuit(0) is Circuit.CLOSED


def test_more_than_half_of_ten_in_half_a_minute_take_it_out():
    """
    A worker that fails every other request is broken too.
    """
    ejection = Ejection(failures_limit=100)
    outcomes = [ejection.fail(at, "error", RNG) if at % 3 else ejection.succeed(at) for at in range(12)]

    assert outcomes[-1] or any(outcomes)
    assert ejection.circuit(12) is Circuit.OPEN


def test_time_out_doubles_with_each_failed_return_and_ends_with_a_good_one():
    """
    5, 10, 20 ... 60 s, give or take a fifth; one good request on return clears the record.
    """
    ejection, now, times = Ejection(failures_limit=1), 0.0, []
    for _ in range(6):
        assert ejection.fail(now, "lost", RNG)
        times.append(ejection.reopens_in_s(now) or 0)
        now += times[-1]
        assert ejection.circuit(now) is Circuit.HALF_OPEN

    for took, wanted in zip(times, (5, 10, 20, 40, 60, 60), strict=True):
        assert 0.8 * wanted <= took <= 1.2 * wanted
    ejection.succeed(now)
    assert ejection.circuit(now) is Circuit.CLOSED
    assert ejection.ejections == 0


def test_a_worker_that_never_proves_itself_is_judged_for_ever():
    """
    After thousands of failed returns, a day at a minute each, the next one is still a time out of a minute.
    """
    ejection, now = Ejection(failures_limit=1, base_s=5.0), 0.0
    for _ in range(3000):
        assert ejection.fail(now, "lost", RNG)
        now += 100

    assert 48 <= (ejection.reopens_in_s(now - 100) or 0) <= 72
