"""A release is what its tag says, everywhere."""

import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "deploy" / "release_notes.py"


@pytest.fixture
def release_notes():
    spec = importlib.util.spec_from_file_location("release_notes", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path):
    """A checkout that is ready to be tagged v1.2.3."""
    for name, text in {
        "fleet/__init__.py": '"""Doc."""\n\n__version__ = "1.2.3"\n',
        "deploy/helm/whisper-fleet/Chart.yaml": 'version: 1.2.3\nappVersion: "1.2.3"\n',
        "CHANGELOG.md": "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-01-02\n\n* New.\n\n## [1.2.2]\n\n* Old.\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_notes_are_the_section_of_the_tag(release_notes, tree):
    """And nothing of the sections around it."""
    assert release_notes.notes("v1.2.3", tree) == "* New."


@pytest.mark.parametrize("name", ["fleet/__init__.py", "deploy/helm/whisper-fleet/Chart.yaml"])
def test_forgotten_version_stops_the_release(release_notes, tree, name):
    """The message names the place."""
    (tree / name).write_text((tree / name).read_text().replace("1.2.3", "1.2.2"))
    with pytest.raises(release_notes.Disagreement, match=name):
        release_notes.notes("v1.2.3", tree)


def test_forgotten_changelog_stops_the_release(release_notes, tree):
    """A version that nobody describes is not released."""
    (tree / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\n* Something.\n")
    with pytest.raises(release_notes.Disagreement, match="no section"):
        release_notes.notes("v1.2.3", tree)


def test_places_exist_in_this_tree(release_notes):
    """What the patterns look for is there, so that only a wrong version fails."""
    with pytest.raises(release_notes.Disagreement, match=r"fleet/__init__.py says \d"):
        release_notes.notes("v0")
