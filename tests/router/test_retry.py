import pytest

from router.retry import Failure, History, Quarantine, RetryBudget, Step, next_step


def step(failure: Failure, history: History | None = None, *, has_budget: bool = True) -> Step:
    return next_step(failure, history or History(), has_budget=lambda: has_budget, retry_limit=2)


@pytest.mark.parametrize("failure", [Failure.CONNECT, Failure.LOST, Failure.GARBAGE, Failure.GATEWAY, Failure.ERROR])
def test_what_failed_before_the_answer_is_tried_elsewhere(failure):
    """
    A transcription may be run twice.
    """
    assert step(failure) is Step.RETRY


def test_busy_costs_nothing():
    """
    However often, and without budget.
    """
    history = History()

    assert {step(Failure.BUSY, history, has_budget=False) for _ in range(100)} == {Step.REQUEUE}
    assert history == History()


def test_nothing_is_tried_again_after_the_caller_saw_a_byte():
    """
    Half of one answer and half of another is no answer.
    """
    assert step(Failure.CUT) is Step.FAIL


def test_at_most_two_retries_and_only_one_after_a_500():
    """
    500 twice is the request's own doing.
    """
    history = History()
    assert [step(Failure.CONNECT, history) for _ in range(3)] == [Step.RETRY, Step.RETRY, Step.FAIL]

    history = History()
    assert [step(Failure.ERROR, history) for _ in range(2)] == [Step.RETRY, Step.FAIL]


def test_a_body_under_which_two_processes_died_is_refused():
    """
    The third worker is spared.
    """
    history = History()

    assert [step(Failure.LOST, history) for _ in range(2)] == [Step.RETRY, Step.REJECT]


def test_without_budget_nothing_is_retried():
    """
    Retries must not become the load.
    """
    assert step(Failure.CONNECT, has_budget=False) is Step.FAIL


def test_the_budget_is_a_share_of_requests_in_flight_with_a_floor():
    """
    20 %, but three at least; counted by a scope.
    """
    budget = RetryBudget(0.2, 3)
    with budget.retry(), budget.retry(), budget.retry():
        assert not budget.has_room(in_flight=10)
        assert budget.has_room(in_flight=100)

    assert budget.has_room(in_flight=0)
    assert (budget.retrying, budget.denied) == (0, 1)


def test_what_one_accident_fails_may_all_be_tried_again():
    """
    A worker of sixteen slots that dies is one accident.
    """
    budget = RetryBudget(0.2, 3)
    with budget.retry(), budget.retry(), budget.retry():
        assert budget.has_room(in_flight=10, at_once=4)
        assert not budget.has_room(in_flight=10, at_once=3)


def test_the_budget_is_not_asked_where_it_decides_nothing():
    """
    What is not tried again for another reason was not refused for the budget.
    """

    def never() -> bool:
        raise AssertionError

    for failure, history in (
        (Failure.BUSY, History()),
        (Failure.CUT, History()),
        (Failure.LOST, History(deaths=1)),
        (Failure.CONNECT, History(retries=2)),
    ):
        next_step(failure, history, has_budget=never, retry_limit=2)


def test_quarantine_ends_by_itself():
    """
    Ten minutes, then the body may be tried again.
    """
    quarantine = Quarantine()
    quarantine.add("hash", now=0)

    assert quarantine.holds("hash", 599)
    assert not quarantine.holds("other", 1)
    assert not quarantine.is_empty(599)
    assert not quarantine.holds("hash", 600)
    assert quarantine.is_empty(600)
