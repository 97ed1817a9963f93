"""Writes docs/configuration.md from the settings records: `make docs`."""

import sys
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from fleet.plan import UpSettings
from router.settings import RouterSettings
from worker.settings import WorkerSettings

PAGE = Path(__file__).with_name("configuration.md")
HEAD = """# Configuration

Written by `make docs` from the settings records; a test compares. Each setting is an environment variable and, in kebab
case, an option: `MAX_WAIT_S=60` or `--max-wait-s 60`; the option wins. A wrong value is one sentence that names the
variable, and exit code 3.

`whisper-fleet up` passes its own environment on to the router and the workers it starts, so their settings can be given
to it as well; only `WORKERS`, `MODEL`, `HOST`, `PORT` and `WYOMING` mean what the first table says.
"""


def page() -> str:
    """The whole page."""
    records = (("whisper-fleet up", UpSettings), ("whisper-fleet router", RouterSettings))
    return HEAD + "".join(_table(name, kind) for name, kind in (*records, ("whisper-fleet worker", WorkerSettings)))


def _table(name: str, kind: type[Any]) -> str:
    rows = "".join(_row(one) for one in fields(kind) if "text" in one.metadata)
    return f"\n## {name}\n\n| variable | default | unit | meaning |\n| --- | --- | --- | --- |\n{rows}"


def _row(one: Field[Any]) -> str:
    about = one.metadata
    names = ", ".join(f"`{name}`" for name in (one.name.upper(), *about["also"]))
    text = about["text"].replace("|", "\\|")
    choices = f" ({', '.join(about['choices'])})" if about["choices"] else ""
    return f"| {names} | {_default(one.default)} | {about['unit']} | {text}{choices} |\n"


def _default(value: object) -> str:
    if value is None or value in ((), ""):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.exit(0)
