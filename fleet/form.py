"""
multipart/form-data, read by a strict push parser as the bytes come in.

Bytes are pushed in, the file's bytes come out through a callback, the small fields are kept. Nothing is read
ahead, so the caller decides where the file goes and may stop at any byte. Why not aiohttp's own reader: five
megabytes of newlines before the first boundary hold its event loop for over a second, and many malformed bodies
become a 500.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from email.message import Message
from functools import lru_cache

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from fleet.errors import BadRequest, BodyTooLarge, UnsupportedMediaType

PARTS_MAX = 64  # a request has about twenty fields; the rest is room for repeated keywords[]
FIELD_BYTES_MAX = 64 * 1024  # one text field; prompts are cut at 224 tokens anyway
BOUNDARY_CHARS_MAX = 70  # RFC 2046 5.1.1
PLAIN_ENCODINGS = ("", "binary", "7bit", "8bit")


@dataclass(slots=True)
class FilePart:
    """The clip as the caller labelled it. The label is a hint for logs; the bytes decide."""

    filename: str | None
    content_type: str | None
    size_bytes: int = 0


@dataclass(slots=True)
class Form:
    """What the body held: text fields and file parts, each in the order sent."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[FilePart] = field(default_factory=list)

    @property
    def file(self) -> FilePart | None:
        """The file part, where there may be only one."""
        return self.files[0] if self.files else None


class FormReader:
    """
    Parses one body. Feed it chunks, then `finish()`. `on_file` is given the bytes of the last of `form.files`.

    Raises BadRequest (`malformed_multipart`, `too_many_parts`, `duplicate_field`, `invalid_value`), BodyTooLarge or
    UnsupportedMediaType as soon as the bytes show it.
    """

    def __init__(
        self,
        content_type: str,
        *,
        on_file: Callable[[bytes], None],
        body_bytes_max: int,
        file_names: Collection[str] = ("file",),
        files_max: int = 1,
    ) -> None:
        self.form = Form()
        self._on_file = on_file
        self._file_names = file_names
        self._files_max = files_max
        self._parts_max = PARTS_MAX + files_max - 1
        self._body_bytes_max = body_bytes_max
        self._received_bytes = 0
        self._name = ""  # of the part that is being read
        self._is_file = False
        self._value = bytearray()
        self._is_past_end = False  # what follows the last boundary is to be ignored (RFC 2046 5.1)
        self._parser = PushMultipartParser(boundary_of(content_type), max_segment_count=self._parts_max, strict=True)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        self._received_bytes += len(chunk)
        if self._received_bytes > self._body_bytes_max:
            raise BodyTooLarge(too_large_message(self._body_bytes_max))
        if self._is_past_end or not chunk:
            return
        try:
            for event in self._parser.parse(chunk):
                self._take(event)
        except ParserLimitReached as error:
            raise self._limit_error(error) from error
        except MultipartError as error:
            self._is_past_end = self._is_complete()
            if not self._is_past_end:
                raise malformed() from error

    def finish(self) -> Form:
        """The whole form; raises BadRequest if the body ended too early."""
        try:
            self._parser.close()
        except MultipartError as error:
            raise malformed() from error
        return self.form

    def _is_complete(self) -> bool:
        """Whether the last boundary was read: then the parser's complaint was about what came after it."""
        try:
            self._parser.close()
        except MultipartError:
            return False
        return True

    def _take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        if isinstance(event, MultipartSegment):
            self._open(event)
        elif event is None:
            self._close()
        elif self._is_file:
            self.form.files[-1].size_bytes += len(event)
            self._on_file(bytes(event))
        else:
            self._value += event
            if len(self._value) > FIELD_BYTES_MAX:
                raise BadRequest(f"A text field may have at most {FIELD_BYTES_MAX} bytes.", param=self._name)

    def _open(self, part: MultipartSegment) -> None:
        if not part.name:
            raise malformed()
        self._name, self._is_file = part.name, part.name in self._file_names
        if (part.header("Content-Transfer-Encoding") or "").strip().lower() not in PLAIN_ENCODINGS:
            raise malformed()
        if not self._is_file:
            return
        if len(self.form.files) == self._files_max:
            raise self._too_many_files()
        self.form.files.append(FilePart(part.filename, part.content_type))

    def _close(self) -> None:
        if not self._is_file:
            try:
                self.form.fields.append((self._name, self._value.decode()))
            except UnicodeDecodeError as error:
                raise BadRequest("Text fields must be UTF-8.", param=self._name) from error
        self._value.clear()

    def _too_many_files(self) -> BadRequest:
        if self._files_max == 1:
            return BadRequest("Send one file per request.", code="duplicate_field", param=self._name)
        return BadRequest(f"A request may have at most {self._files_max} files.", code="too_many_parts")

    def _limit_error(self, error: ParserLimitReached) -> BadRequest:
        if "count" in str(error) and "header" not in str(error):
            return BadRequest(f"A request may have at most {self._parts_max} parts.", code="too_many_parts")
        return malformed()


@lru_cache(maxsize=64)  # asked when the headers are there, and again when the body is
def boundary_of(content_type: str) -> str:
    """The boundary parameter of a multipart/form-data content type."""
    header = Message()
    header["Content-Type"] = content_type
    if header.get_content_type() != "multipart/form-data":
        raise UnsupportedMediaType
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not 1 <= len(boundary) <= BOUNDARY_CHARS_MAX or not boundary.isascii():
        raise malformed()
    return boundary


def malformed() -> BadRequest:
    """One answer for every body that is not well-formed: which byte was wrong helps only those who probe."""
    return BadRequest("The request body is not valid multipart/form-data.", code="malformed_multipart")


def too_large_message(limit_bytes: int) -> str:
    """Names the limit in the unit of the setting."""
    return f"The request body is larger than the limit of {limit_bytes / 1_000_000:g} MB (MAX_UPLOAD_MB)."


def is_text(value: str) -> bool:
    """Whether a form's field can hold it: JSON, unlike UTF-8, also has halves of surrogate pairs."""
    return not any("\ud800" <= char <= "\udfff" for char in value)
