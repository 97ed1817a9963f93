"""What is said of a command line that cannot be meant."""

import pytest

from fleet.options import Parser, meant


@pytest.fixture
def parser():
    """Two options and a file."""
    parser = Parser(prog="thing")
    parser.add_argument("--workers")
    parser.add_argument("--model")
    parser.add_argument("files", nargs="*")
    return parser


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--wrokers", "3"], "error: --wrokers is not an option; did you mean --workers? (thing --help)\n"),
        (["--wrokers=3"], "error: --wrokers is not an option; did you mean --workers? (thing --help)\n"),
        (["--worker", "3"], "error: --worker is not an option; did you mean --workers? (thing --help)\n"),
        (["--xyz"], "error: --xyz is not an option (thing --help)\n"),
        (["--model"], "error: argument --model: expected one argument (thing --help)\n"),
    ],
)
def test_a_wrong_line_is_one_line(parser, capsys, argv, said):
    """No usage dump, exit code 2, and the beginning of an option is not the option."""
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(argv)
    assert (ended.value.code, capsys.readouterr().err) == (2, said)


def test_an_argument_too_many_is_named(capsys):
    """Where a command takes none."""
    with pytest.raises(SystemExit):
        Parser(prog="thing").parse_args(["3"])
    assert "'3' was not expected" in capsys.readouterr().err


def test_a_right_line_is_read(parser):
    """As argparse reads it."""
    options = parser.parse_args(["--workers", "3", "a.wav"])
    assert (options.workers, options.files) == ("3", ["a.wav"])


def test_only_what_is_like_it_was_meant():
    """Nothing is guessed from afar."""
    assert meant("statsu", ["status", "up"]) == "; did you mean status?"
    assert meant("colour", ["status", "up"]) == ""


@pytest.mark.parametrize(("columns", "widest"), [("60", 59), ("300", 110)])
def test_help_fits_the_terminal(monkeypatch, columns, widest):
    """A line is never longer than the terminal, nor so long that nobody can read it."""
    monkeypatch.setenv("COLUMNS", columns)
    parser = Parser(prog="whisper-fleet do")
    parser.add_argument("--workers", help="processes that do what is asked of them, and no more than that " * 5)
    lengths = [len(line) for line in parser.format_help().splitlines()]
    assert widest - 12 < max(lengths) <= widest
