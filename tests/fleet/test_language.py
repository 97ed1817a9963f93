"""Languages as clients name them."""

import pytest

from fleet import language


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("en", "en"),
        ("EN-us", "en"),
        ("en_US", "en"),
        ("English", "en"),
        ("pt-BR", "pt"),
        ("zh-TW", "zh"),
        ("zh-HK", "yue"),
        ("iw", "he"),
        ("nb-NO", "no"),
        ("castilian", "es"),
        (" de ", "de"),
    ],
)
def test_tags(tag, code):
    """Regional tags, old codes and names find Whisper's own code."""
    assert language.normalise(tag) == code


@pytest.mark.parametrize("tag", ["", "auto", "AUTO", "und", "  "])
def test_detection(tag):
    """These ask for detection."""
    assert language.normalise(tag) is None


@pytest.mark.parametrize("tag", ["klingon", "xx", "-", "e", "en;drop"])
def test_no_language(tag):
    """Nonsense raises ValueError."""
    with pytest.raises(ValueError, match=tag):
        language.normalise(tag)


def test_every_name_leads_back():
    """Each code's name is understood, and is that code."""
    assert {code: language.normalise(name) for code, name in language.NAMES.items()} == {c: c for c in language.NAMES}
    assert len(language.NAMES) == 100


def test_name_of_an_unknown_code_is_the_code():
    """A newer model's language is shown rather than lost."""
    assert language.name_of("en") == "english"
    assert language.name_of("tlh") == "tlh"
