import pytest
from aiohttp.test_utils import make_mocked_request

from fleet.errors import BadRequest, BodyTooLarge, UnsupportedMediaType
from fleet.form import FilePart, Form
from fleet.forms import TRANSCRIPTIONS
from router.spool import Spool, SpoolBudget
from router.upload import Upload, check_head, client_retries, deadline_s

MULTIPART = {"Content-Type": "multipart/form-data; boundary=x"}


def request(**headers):
    return make_mocked_request("POST", "/", headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"Content-Type": "application/json"}, UnsupportedMediaType),
        ({}, UnsupportedMediaType),
        (MULTIPART | {"Content-Encoding": "gzip"}, UnsupportedMediaType),
        ({"Content-Type": "multipart/form-data"}, BadRequest),
        (MULTIPART | {"Content-Length": "1001"}, BodyTooLarge),
    ],
)
def test_headers_alone_are_enough_to_refuse(headers, error):
    """
    Before a byte of the body.
    """
    with pytest.raises(error):
        check_head(make_mocked_request("POST", "/", headers=headers), body_bytes_max=1000)


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


async def test_the_same_file_has_the_same_digest_whatever_the_boundary():
    """
    A client's retry brings a new boundary and the same poison.
    """

    async def digest(boundary: str, body: bytes) -> str:
        async with Spool(SpoolBudget(memory_bytes=10**7, disk_bytes=10**7)) as spool:
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
            await spool.write(head.encode() + body + f"\r\n--{boundary}--\r\n".encode())
            await spool.seal()
            content_type = f"multipart/form-data; boundary={boundary}"
            return await Upload(content_type, TRANSCRIPTIONS, Form(), FilePart(None, None), b"", spool).digest()

    assert await digest("a", b"poison") == await digest("other", b"poison") != await digest("a", b"good")
