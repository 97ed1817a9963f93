from router.markup import Markup, element, joined

EVIL = """</td><script>alert("1")</script>'"""


def test_text_is_never_markup():
    """
    Content and attributes are escaped, whatever they hold.
    """
    made = element("td", EVIL, title=EVIL)

    assert "<script" not in made
    assert "&lt;script&gt;" in made
    assert made.count('"') == 2, "the attribute's own quotes and no other"


def test_elements_inside_elements_are_kept():
    """
    What was built here is not escaped again.
    """
    assert element("p", "a & b ", element("b", 3), None) == "<p>a &amp; b <b>3</b></p>"
    assert joined(Markup("<i>"), "<i>") == "<i>&lt;i&gt;"


def test_attributes_that_are_off_are_left_out():
    """
    None and False are absent, True has no value, underscores are dashes.
    """
    assert element("input", hidden=True, required=False, id=None, data_key="x", class_="y") == (
        '<input hidden data-key="x" class="y">'
    )
