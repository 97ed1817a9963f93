"""
What `up` was given: its own settings, those of router and worker that it passes on, and names that nobody knows.

Router and worker are asked by name for their settings, since this package imports neither.
"""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from fleet.options import meant
from fleet.plan import NOT_PASSED_ON, UpSettings
from fleet.settings import SettingError, load_beside, names_of

CHILDREN = (("router.settings", "RouterSettings"), ("worker.settings", "WorkerSettings"))
MAKE_GIVEN = "MAKE_GIVEN"  # the names on make's command line, which the Makefile knows and nobody else can
# what else may stand there: make's own, and what libraries and tools of ours read
OTHERS = frozenset(["ARGS", "PYTHON", "VENV", "BIN", "SHELL", "MAKEFLAGS"])
OTHERS_BEGIN = ("OTEL_", "HF_", "CUDA_", "NVIDIA_", "OMP_", "PIP_", "PYTHON", "XDG_", "LC_", "FLEET_")


def read(environ: Mapping[str, str], argv: Sequence[str]) -> tuple[UpSettings, dict[str, str]]:
    """The settings of `up`, and the environment of its children; raises SettingError."""
    children = [getattr(importlib.import_module(module), name) for module, name in CHILDREN]
    check_names(environ.get(MAKE_GIVEN, "").split(), (UpSettings, *children))
    wanted, passed_on = load_beside(UpSettings, children, environ, argv, prog="whisper-fleet up", but=NOT_PASSED_ON)
    return wanted, {**environ, **passed_on}


def check_names(given: Sequence[str], kinds: Sequence[type[Any]]) -> None:
    """Raise SettingError for the first name on make's line that would set nothing."""
    known = {name for kind in kinds for name in names_of(kind)}
    for name in sorted(given):
        if name not in known | OTHERS and not name.startswith(OTHERS_BEGIN):
            hint = meant(name.upper(), sorted(known)) or "; docs/configuration.md has them all."
            raise SettingError(f"{name} is not a setting{hint} A variable for another program goes before `make`.")
