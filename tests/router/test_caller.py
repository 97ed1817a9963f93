import pytest
from aiohttp.test_utils import make_mocked_request

from fleet.web import ID_KEY
from router.caller import caller_of, client_retries, deadline_s
from router.keys import TENANT


def request(**headers):
    return make_mocked_request("POST", "/", headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 600),
        ({"X-Request-Timeout": "30"}, 30),
        ({"x_stainless_read_timeout": "45.5"}, 45.5),
        ({"X-Request-Timeout": "nan"}, 600),
        ({"X-Request-Timeout": "-3"}, 600),
        ({"X-Request-Timeout": "soon", "x_stainless_read_timeout": "20"}, 20),
    ],
)
def test_the_callers_patience_is_its_own_word_or_the_default(headers, seconds):
    """
    Nonsense is not a deadline.
    """
    assert deadline_s(request(**headers), 600) == seconds


def test_a_returning_client_says_how_often_it_was_here():
    """
    OpenAI's clients count their retries.
    """
    assert client_retries(request(x_stainless_retry_count="2")) == 2
    assert client_retries(request(x_stainless_retry_count="99999999")) == 0
    assert client_retries(request()) == 0


def test_only_trace_headers_travel_on():
    """
    A key or a cookie never does.
    """
    asked = request(traceparent="00-1", Authorization="Bearer secret", Cookie="a=b")
    asked[ID_KEY], asked[TENANT] = "r1", "crm"
    caller = caller_of(asked, now=5.0, default_deadline_s=600)
    assert caller.span.headers == {"traceparent": "00-1"}
    assert (caller.door, caller.tenant, caller.deadline_at) == ("POST /", "crm", 605.0)
