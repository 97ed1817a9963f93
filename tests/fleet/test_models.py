"""Model names as callers write them."""

import pytest

from fleet import models
from fleet.errors import NotFound


@pytest.mark.parametrize("name", [None, "whisper-1", "default", "gpt-4o-transcribe"])
def test_whichever(name):
    """No name and the hosted services' names mean what is loaded."""
    assert models.resolve(name, ["base"]) is None


@pytest.mark.parametrize("name", ["base", "Systran/faster-whisper-base", "faster-whisper-base"])
def test_same_model_by_other_names(name):
    """A Hub id is its last part."""
    assert models.resolve(name, ["tiny", "base"]) == "base"


def test_not_loaded():
    """404 that does not repeat what was sent; the scripted engine takes any name."""
    with pytest.raises(NotFound) as caught:
        models.resolve("<script>", ["base"])
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert "<script>" not in caught.value.message
    assert models.resolve("<script>", ["base"], accepts_any=True) is None


def test_list_names_each_once_and_the_alias():
    """OpenAI's shape."""
    listed = models.listed(["base", "base", "tiny"])
    assert listed["object"] == "list"
    assert [one["id"] for one in listed["data"]] == ["base", "tiny", "whisper-1"]
    assert set(listed["data"][0]) == {"id", "object", "created", "owned_by"}
