from fleet.errors import Unavailable
from router.story import Story


def test_until_something_better_is_known_it_is_our_fault():
    """
    An exception that nobody foresaw is a 500 in the ledger, too.
    """
    record = Story(arrived_at=1.0).finished(3.0, tenant="t")

    assert (record.status, record.code, record.took_s) == (500, "internal_error", 2.0)


def test_each_end_leaves_its_own_record():
    """
    Answered, refused, hung up.
    """
    story = Story(arrived_at=0)
    story.answered(200)
    assert story.finished(1, tenant="").code == "ok"
    story.answered(400)
    assert story.finished(1, tenant="").code == "caller_error"
    story.answered(500)
    assert story.finished(1, tenant="").code == "internal_error"
    story.fail(Unavailable())
    assert (story.finished(1, tenant="").status, story.finished(1, tenant="").code) == (503, "overloaded")
    story.hung_up()
    assert (story.finished(1, tenant="").status, story.finished(1, tenant="").code) == (499, "client_closed")
