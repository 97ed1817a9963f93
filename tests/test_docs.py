"""The docs say what the code does, as far as a program can tell."""

import importlib.util
import re
from pathlib import Path

import pytest

from fleet import cli, errors

ROOT = Path(__file__).parents[1]
FOREIGN = {
    "APART_CASES",
    "ARGS",
    "COMPOSE_FILE",
    "CUDA_VISIBLE_DEVICES",
    "ENGINE",
    "FUZZ_CASES",
    "OMP_WAIT_POLICY",
    "OPENAPI_CASES",
    "PR_SET_PDEATHSIG",
    "S16_LE",
    "SIM_SEEDS",
}
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "samples").glob("*.md")])


def test_configuration_is_up_to_date():
    """Every setting of every record, as `make docs` writes it."""
    path = ROOT / "docs" / "write_configuration.py"
    spec = importlib.util.spec_from_file_location("write_configuration", path)
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    for page, text in writer.pages().items():
        assert page.read_text() == text, f"{page.name}: run: make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    """Every relative link names a file of this project."""
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def known_names():
    """What can be set: the table of settings, Compose's own variables and the images' build arguments."""
    rows = (ROOT / "docs" / "configuration.md").read_text().split("\n| ")
    files = [ROOT / ".env.example", *ROOT.glob("compose/*.yaml"), *ROOT.glob("Dockerfile.*")]
    text = "\n".join([*(row.partition("|")[0] for row in rows), *(path.read_text() for path in files)])
    return FOREIGN | set(re.findall(r"(?:`|^# |\$\{|^ARG )([A-Z][A-Z0-9_]+)", text, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_settings_that_are_named_exist(page):
    """Every NAME_OF_ONE in code, and every NAME= of an example; of migrate.md's tables the column that is ours."""
    lines = page.read_text().splitlines()
    if page.name == "migrate.md":
        lines = ["|".join(line.split("|")[2:]) if line.startswith("|") else line for line in lines]
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", "\n".join(lines), re.DOTALL))
    named = re.findall(r"(?<![\w$./{-])([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?![\w(])", code)
    set_here = re.findall(r"(?<![\w$./-])([A-Z][A-Z0-9_]{2,})=", code)
    assert not {*named, *set_here} - known_names()


def test_readme_names_every_command():
    """And no command that there is not."""
    named = set(re.findall(r"^whisper-fleet (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert named == set(cli.offered())


def test_behaviour_names_the_codes():
    """Each code of the error tree stands in the table."""
    page = (ROOT / "docs" / "behaviour.md").read_text()
    codes = {
        kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.FleetError)
    }
    assert not [code for code in codes - {"rate_limit_exceeded"} if f"`{code}`" not in page]


def test_make_help_names_every_target():
    """`make help` shows what the Makefile can do."""
    text = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE).group(1).split()) - {"help"}
    assert targets <= set(re.findall(r"make ([\w-]+)", text))


def test_limits_are_the_settings_defaults():
    """Each `NAME` that is followed by a number in docs/limits.md."""
    page = (ROOT / "docs" / "limits.md").read_text()
    rows = re.findall(
        r"^\| (`[A-Z][^|]*`) \| `([^`]+)` \|", (ROOT / "docs" / "configuration.md").read_text(), re.MULTILINE
    )
    defaults = {name: value for names, value in rows for name in re.findall(r"[A-Z][A-Z0-9_]+", names)}
    named = re.findall(r"`([A-Z][A-Z0-9_]+)` (\d+(?: \d{3})*(?:\.\d+)?)", page)
    assert len(named) > 20
    for name, number in named:
        assert float(number.replace(" ", "")) == float(defaults[name]), name


def test_the_threat_model_names_tests_that_exist():
    """Every row names at least one file of `tests/`."""
    page = (ROOT / "docs" / "threat-model.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ") and "---" not in line][1:]
    for row in rows:
        named = re.findall(r"`([\w/]+\.py)`", row.rsplit(" | ", 1)[1])
        assert named, row
        assert not [name for name in named if not (ROOT / "tests" / name).exists()], row


def test_the_catalogue_counts_its_rows_and_its_tests_exist():
    """Every row names a file of `tests/`, or says below what was run."""
    page = (ROOT / "docs" / "catalogue.md").read_text()
    rows = [line for line in page.splitlines() if re.match(r"\| [A-Z]-\d\d", line)]
    assert f"\n{len(rows)} rows" in page
    for row in rows:
        named = re.findall(r"`([\w/]+\.py)`", row.rsplit(" | ", 1)[1])
        assert named, row
        assert not [name for name in named if not (ROOT / "tests" / name).exists()], row
