from router.trend import MOMENTS, Moment, Trend


def trend_of(*refused):
    trend = Trend()
    for count in refused:
        trend.note(Moment(backlog_s=1.5, expected_wait_s=0.5, refused=count))
    return trend


def test_refusals_are_shown_as_they_come():
    """
    The count only grows; the curve is how much it grew from look to look.
    """
    assert trend_of(3, 3, 7, 8).refusals() == [0, 4, 1]


def test_a_restarted_count_is_no_negative_refusal():
    """
    A curve never goes below zero.
    """
    assert trend_of(9, 2).refusals() == [0]


def test_what_is_older_than_five_minutes_is_forgotten():
    """
    Memory does not grow with uptime.
    """
    trend = trend_of(*range(MOMENTS + 40))

    assert len(trend.backlog_s()) == len(trend.expected_wait_s()) == MOMENTS
    assert len(trend.refusals()) == MOMENTS - 1
