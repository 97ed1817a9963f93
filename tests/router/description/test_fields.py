"""What the description says of a field is what the parser does with it."""

import pytest

from fleet.errors import BadRequest
from fleet.fields import BOUNDS, LISTS, SCALARS, parse_request
from router.description.fields import FIELDS, form

NUMBERS = {name: schema for name, schema in FIELDS.items() if "maximum" in schema}
CHOICES = {
    name: schema.get("enum") or schema["items"]["enum"] for name, schema in FIELDS.items() if "enum" in str(schema)
}
UNKNOWN_CHOICE_IS_FINE = {"transcription_tier"}  # anything but `deferred` is realtime


def reads(name, value):
    """Whether the parser takes the value; with a format that allows what only some formats do."""
    companion = [] if name in ("response_format", "include[]") else [("response_format", "verbose_json")]
    try:
        parse_request([(name, str(value)), *companion], is_strict=True)
    except BadRequest:
        return False
    return True


def test_every_field_that_is_read_is_described_and_no_other():
    """One list, in fleet.fields; brackets are how OpenAI's clients spell lists."""
    assert {name.removesuffix("[]") for name in FIELDS} == LISTS | SCALARS
    assert {name.removesuffix("[]") for name in FIELDS if name.endswith("[]")} == LISTS


@pytest.mark.parametrize("name", NUMBERS)
def test_bounds_are_the_parsers(name):
    """Both ends are taken, what is beyond is refused."""
    least, most = NUMBERS[name]["minimum"], NUMBERS[name]["maximum"]
    assert reads(name, least)
    assert reads(name, most)
    assert not reads(name, most + 1)
    if least > 0:
        assert not reads(name, least / 2)


def test_every_bound_is_shown_somewhere():
    """Those of chunking_strategy stand inside of it."""
    inside = FIELDS["chunking_strategy"]["anyOf"][1]["properties"]
    shown = set(NUMBERS) | {f"chunking_strategy.{name}" for name in inside if name != "type"}
    assert shown == set(BOUNDS)


@pytest.mark.parametrize("name", CHOICES)
def test_choices_are_the_parsers(name):
    """Each is taken, another is not."""
    assert all(reads(name, choice) for choice in CHOICES[name])
    assert reads(name, "something else") is (name in UNKNOWN_CHOICE_IS_FINE)


@pytest.mark.parametrize("name", [name for name, schema in FIELDS.items() if schema.get("type") == "boolean"])
def test_flags_are_flags(name):
    """True and false, and nothing between."""
    assert reads(name, "true")
    assert not reads(name, "maybe")


def test_a_form_needs_its_clip_and_nothing_else():
    """The other names of the file part are told."""
    described = form(file_names=("audio", "file"))
    assert described["required"] == ["audio"]
    assert "`file`" in described["properties"]["audio"]["description"]
