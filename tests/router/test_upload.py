import pytest
from aiohttp.test_utils import make_mocked_request

from fleet.errors import BadRequest, BodyTooLarge, UnsupportedMediaType
from fleet.form import FilePart, Form
from fleet.forms import TRANSCRIPTIONS
from router.spool import Spool, SpoolBudget
from router.upload import Upload, body_of, check_head

MULTIPART = {"Content-Type": "multipart/form-data; boundary=x"}


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
        request = make_mocked_request("POST", "/", headers=headers)
        check_head(body_of(request, TRANSCRIPTIONS, within_s=1), body_bytes_max=1000)


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
