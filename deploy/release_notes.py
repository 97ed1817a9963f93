"""
release_notes.py TAG: the changelog's section for a tag, once tag, program, chart and changelog say the same version.

To release: set the version in fleet/__init__.py and Chart.yaml, turn "Unreleased" into it in CHANGELOG.md, run
`make manifests`, commit, tag. Standard library only: the release workflow runs it before anything is installed.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSIONS = {
    "fleet/__init__.py": r'^__version__ = "(.*)"$',
    "deploy/helm/whisper-fleet/Chart.yaml": r'^appVersion: "(.*)"$',
}


class Disagreement(Exception):
    """Two places name different versions, or the changelog says nothing of this one; the message names the place."""


def notes(tag: str, root: Path = ROOT) -> str:
    """The section's text; raises Disagreement."""
    for name, pattern in VERSIONS.items():
        found = re.search(pattern, (root / name).read_text(), re.MULTILINE)
        if found is None or f"v{found[1]}" != tag:
            raise Disagreement(f"the tag is {tag} and {name} says {found[1] if found else 'nothing'}")
    changelog = (root / "CHANGELOG.md").read_text()
    section = re.search(rf"^## \[{re.escape(tag[1:])}\].*?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if section is None or not section[1].strip():
        raise Disagreement(f"CHANGELOG.md has no section [{tag[1:]}]")
    return section[1].strip()


def main() -> int:
    """Print the notes; 1 and one sentence where the versions disagree."""
    try:
        print(notes(sys.argv[1]))
    except Disagreement as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
