"""Names -> directories, and one clear sentence where there is none."""

from pathlib import Path

import faster_whisper
import pytest

from fleet.serve import StartupError
from worker.models import catalogue


def test_the_embedded_model_needs_nothing():
    """Its files come with the package."""
    directory = catalogue.resolve("spoken-digits", is_offline=True)
    assert (directory / "model.bin").is_file()
    assert (directory / "CARD.md").is_file()


def test_every_size_of_faster_whisper_is_known():
    """By the same name."""
    assert set(faster_whisper.available_models()) <= set(catalogue.HUB)


def test_a_directory_is_taken_as_it_is(tmp_path: Path):
    """With a model in it; without one the sentence says so."""
    with pytest.raises(StartupError, match=r"model\.bin"):
        catalogue.resolve(str(tmp_path))
    (tmp_path / "model.bin").write_bytes(b"")
    assert catalogue.resolve(str(tmp_path)) == tmp_path


def test_a_misspelt_name_is_told_the_one_that_was_probably_meant(tmp_path: Path):
    """Not the whole list."""
    with pytest.raises(StartupError, match="no model called 'lage-v3'; did you mean large-v3"):
        catalogue.resolve("lage-v3", str(tmp_path))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        *(
            ("nope", "no model called 'nope'"),
            ("/no/such/place", "no directory"),
            ("tiny", "OFFLINE"),
            ("a/b", "OFFLINE"),
        ),
        *(("./" + "x" * 300, "cannot be read: File name too long"), ("~nobody-we-know/model", "cannot be read")),
    ],
)
def test_what_cannot_be_had_is_one_sentence_with_a_way_out(tmp_path: Path, name: str, says: str):
    """Which model, why not, what works instead."""
    with pytest.raises(StartupError, match=says) as failed:
        catalogue.resolve(name, str(tmp_path), is_offline=True)
    assert "MODEL=spoken-digits" in str(failed.value)
    assert "\n" not in str(failed.value)


def test_a_directory_without_a_tokenizer_is_fetched_one_unless_offline(tmp_path: Path):
    """faster-whisper asks the Hub for a general one, which OFFLINE forbids."""
    (tmp_path / "model.bin").write_bytes(b"")
    assert catalogue.resolve(str(tmp_path)) == tmp_path
    with pytest.raises(StartupError, match=r"tokenizer\.json"):
        catalogue.resolve(str(tmp_path), is_offline=True)


def test_a_directory_that_may_not_be_read_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Not a traceback that a supervisor starts again and again."""

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(StartupError, match="Permission denied") as failed:
        catalogue.resolve(str(tmp_path))
    assert str(tmp_path) not in str(failed.value)
