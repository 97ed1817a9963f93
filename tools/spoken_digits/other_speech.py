"""Gather recordings of speech without digits from Debian packages, into OUT/VOICE/.

    mkdir debs && cd debs && apt-get download asterisk-core-sounds-en-g722 asterisk-core-sounds-es-wav \\
        asterisk-core-sounds-fr-wav asterisk-core-sounds-it-wav asterisk-core-sounds-ru-wav \\
        asterisk-prompt-it-menardi-wav ktuberling-data && for deb in *.deb; do dpkg -x $deb ${deb%%_*}; done
    python -m tools.spoken_digits.other_speech debs other

Asterisk's prompts (CC BY-SA 3.0, the Russian ones CC BY 3.0) are telephone sentences; KTuberling's (GPL-2+) are lone
words by native speakers of 25 languages. Numbers are left out; among the English prompts so are those in which
pocketsphinx heard a digit word, which are menus mostly.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

SOUNDS = {".wav", ".g722", ".ogg", ".opus"}
HAS_DIGITS = re.compile(
    r"[0-9]|press|menu|options|opts|list|instr|silence|keypad|onefor|basic-pbx|onlyone|binaural|confbridge-(join|leave|lock-out|mute-in)"
    r"|enterkeywords|enter_filename|forhelp|_help|dir-intro|one-moment|less-than|spy-|to-extension|vm-(Cust[3-5]|delete|forward|reachoper|review"
    r"|savemessage|saveoper|tempgreeting|toenternumber|tohearenv|toreply)|^[hot]$"
)


def recordings(package: Path) -> Iterator[tuple[str, Path]]:
    """The (voice, file) pairs of an unpacked package."""
    is_english = package.name.startswith("asterisk-core-sounds-en")
    for path in sorted(package.rglob("*")):
        if path.suffix not in SOUNDS or path.is_symlink() or path.parent.name in {"silence", "digits"}:
            continue
        if package.name.startswith("ktuberling"):
            yield f"ktuberling-{path.parent.name}", path
        elif not re.search(r"[0-9]", path.stem) and not (is_english and HAS_DIGITS.search(path.stem)):
            yield package.name, path


def main(packages: Path, out: Path) -> None:
    for package in sorted(path for path in packages.iterdir() if path.is_dir()):
        for voice, path in recordings(package):
            (out / voice).mkdir(parents=True, exist_ok=True)
            link = out / voice / f"{path.parent.name}_{path.name}"
            if not link.exists():
                link.symlink_to(path.resolve())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
