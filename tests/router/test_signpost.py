"""The page of who lost the way."""

from router import signpost


def test_it_says_what_there_is():
    """Links to every page, and the base URL that clients take, at the caller's own address."""
    page = signpost.page("https://speech.example")
    assert "There is nothing at this address." in page
    for path in ("/", "/lb-status", "/docs", "/metrics"):
        assert f'<a href="{path}">' in page
    assert "https://speech.example/v1" in page
    assert "Did you mean" not in page


def test_what_was_probably_meant_is_a_link():
    """One press away."""
    assert 'Did you mean <a href="/docs">/docs</a>?' in signpost.page("http://x", meant="/docs")


def test_an_address_for_programs_says_so():
    """It is there, but not for who types it into a browser."""
    page = signpost.page("http://x", methods=["POST"])
    assert "it takes POST" in page
    assert "nothing at this address" not in page


def test_no_text_becomes_markup():
    """The host is the caller's word."""
    assert "<script>" not in signpost.page("http://<script>")
