"""The body's parser: any chunking gives the same form, and every broken body a 400, 413 or 415."""

import io

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import BadRequest, BodyTooLarge, FleetError, UnsupportedMediaType
from fleet.form import FIELD_BYTES_MAX, PARTS_MAX, FormReader, boundary_of

TYPE = "multipart/form-data; boundary=XX"


def part(name, value, *, filename=None, headers=""):
    """One part of a body with boundary XX."""
    label = f'; filename="{filename}"' if filename is not None else ""
    head = f'--XX\r\nContent-Disposition: form-data; name="{name}"{label}\r\n{headers}\r\n'
    return head.encode() + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"


def body(*parts):
    """A whole body."""
    return b"".join(parts) + b"--XX--\r\n"


def read(data, *, chunk_bytes=1 << 16, content_type=TYPE, limit=1 << 20):
    """The form and the file's bytes."""
    file = bytearray()
    reader = FormReader(content_type, on_file=file.extend, body_bytes_max=limit)
    for start in range(0, len(data), chunk_bytes):
        reader.feed(data[start : start + chunk_bytes])
    return reader.finish(), bytes(file)


CLIP = bytes(range(256)) * 3 + b"\r\n--X\r\n--XY\r\n"
GOOD = body(
    part("model", "whisper-1"),
    part("timestamp_granularities[]", "word"),
    part("file", CLIP, filename="a.wav", headers="Content-Type: audio/wav\r\n"),
    part("prompt", "gr\u00fc\u00dfe"),
)


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 7, 64, 1 << 16])
def test_any_chunking_gives_the_same_form(chunk_bytes):
    """Fields in order, the file's bytes unchanged, wherever the network cuts."""
    form, file = read(GOOD, chunk_bytes=chunk_bytes)

    assert form.fields == [("model", "whisper-1"), ("timestamp_granularities[]", "word"), ("prompt", "gr\u00fc\u00dfe")]
    assert file == CLIP
    assert (form.file.filename, form.file.content_type, form.file.size_bytes) == ("a.wav", "audio/wav", len(CLIP))


@given(st.binary(max_size=2000), st.integers(1, 400))
def test_file_bytes_come_out_as_they_went_in(clip, chunk_bytes):
    """For any content, look-alikes of boundaries included."""
    if b"--XX" in clip:
        return
    form, file = read(body(part("file", clip, filename="f")), chunk_bytes=chunk_bytes)
    assert file == clip
    assert form.file.size_bytes == len(clip)


@given(st.binary(max_size=600), st.integers(1, 64))
def test_no_body_is_a_crash(junk, chunk_bytes):
    """Whatever comes, the answer is a form or an error with a status."""
    try:
        read(junk, chunk_bytes=chunk_bytes)
    except FleetError as error:
        assert error.status in (400, 413, 415)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_no_damage_is_a_crash(position, byte):
    """Nor one wrong byte in a good body."""
    damaged = bytearray(GOOD)
    damaged[position] = byte
    try:
        read(bytes(damaged), chunk_bytes=50)
    except FleetError as error:
        assert error.status in (400, 413, 415)


async def test_what_a_real_client_sends():
    """A body built by another implementation is read as it was meant."""
    written = aiohttp.FormData({"model": "whisper-1", "response_format": "srt"})
    written.add_field("file", io.BytesIO(CLIP), filename="\u00fcber.wav", content_type="audio/x-wav")
    payload = written()
    form, file = read(await payload.as_bytes(), content_type=payload.content_type)

    assert dict(form.fields) == {"model": "whisper-1", "response_format": "srt"}
    assert file == CLIP


def code_of(data, **options):
    """The error's code."""
    with pytest.raises(FleetError) as caught:
        read(data, **options)
    return caught.value.code


def test_body_that_ends_early():
    """Every cut inside the body is malformed, and never a form."""
    for end in range(0, len(GOOD) - 5, 11):
        assert code_of(GOOD[:end]) == "malformed_multipart"


def test_two_files():
    """One clip a request."""
    assert code_of(body(part("file", "a", filename="a"), part("file", "b", filename="b"))) == "duplicate_field"


def test_too_many_parts():
    """The number of parts is bounded."""
    assert code_of(body(*(part("keywords[]", "x") for _ in range(PARTS_MAX + 1)))) == "too_many_parts"


def test_long_text_field():
    """So is each text field; the error names it."""
    with pytest.raises(BadRequest) as caught:
        read(body(part("prompt", "x" * (FIELD_BYTES_MAX + 1))))
    assert caught.value.param == "prompt"


def test_text_that_is_not_utf8():
    """A field of other bytes is the caller's error, and named."""
    with pytest.raises(BadRequest) as caught:
        read(body(part("prompt", b"\xff\xfe")))
    assert caught.value.param == "prompt"


def test_body_over_the_limit_is_refused_while_it_comes():
    """Without waiting for its end, naming the setting."""
    reader = FormReader(TYPE, on_file=lambda _: None, body_bytes_max=1000)
    reader.feed(GOOD[:900])
    with pytest.raises(BodyTooLarge, match="MAX_UPLOAD_MB"):
        reader.feed(b"x" * 101)


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "x-own"])
def test_encoded_parts_are_refused(encoding):
    """Transfer encodings inside a form are not undone, so they must not be taken for audio."""
    headers = f"Content-Transfer-Encoding: {encoding}\r\n"
    assert code_of(body(part("file", "UklGRg==", filename="a", headers=headers))) == "malformed_multipart"


@pytest.mark.parametrize("chunk_bytes", [1, 5, len(GOOD) - 2, len(GOOD), 1 << 16])
@pytest.mark.parametrize("tail", [b"", b"\n", b"\r\n\r\n", b"GET / HTTP/1.1\r\n", part("model", "other")])
def test_what_follows_the_last_boundary_is_ignored(tail, chunk_bytes):
    """However the network cuts, so that router and worker never read the same body differently."""
    assert read(GOOD + tail, chunk_bytes=chunk_bytes)[0].fields == read(GOOD)[0].fields


@pytest.mark.parametrize(
    "given_type", ["", "application/json", "text/plain; boundary=XX", "multipart/mixed; boundary=XX"]
)
def test_other_content_types(given_type):
    """Anything but multipart/form-data is 415."""
    with pytest.raises(UnsupportedMediaType):
        boundary_of(given_type)


@pytest.mark.parametrize("parameter", ["", "; boundary=", f"; boundary={'x' * 71}", "; boundary=\u00fc"])
def test_bad_boundaries(parameter):
    """Missing, empty, too long or not ASCII."""
    with pytest.raises(BadRequest):
        boundary_of(f"multipart/form-data{parameter}")


def test_quoted_boundary():
    """As RFC 2046 allows."""
    assert boundary_of('Multipart/Form-Data; charset=utf-8; boundary="a b:c"') == "a b:c"
