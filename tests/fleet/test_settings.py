"""Settings from environment and options, and the sentences about wrong ones."""

from dataclasses import dataclass

import pytest

from fleet.settings import SettingError, load, load_beside, names_of, parser_of, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """A few of each kind."""

    queue_limit: int = setting(10, "requests that may wait", unit="requests", least=0, most=100)
    wait_s: float = setting(1.5, "longest wait", unit="s", least=0)
    is_open: bool = setting(False, "no keys")
    model: str = setting("base", "which", also=("MODEL_SIZE",))
    mode: str = setting("a", "how", choices=("a", "b"))
    urls: tuple[str, ...] = setting((), "where")
    key: str | None = setting(None, "secret")


def test_defaults():
    """Nothing said, everything default."""
    assert load(Knobs, {}) == Knobs()


def test_environment_and_options():
    """Both are read; the option wins, the first name of a variable wins."""
    environ = {"QUEUE_LIMIT": "20", "WAIT_S": "3", "URLS": "a, b,", "MODEL_SIZE": "tiny", "IS_OPEN": "yes"}
    knobs = load(Knobs, environ, ["--queue-limit", "30"])

    assert (knobs.queue_limit, knobs.wait_s, knobs.urls) == (30, 3.0, ("a", "b"))
    assert (knobs.model, knobs.is_open) == ("tiny", True)
    assert load(Knobs, {"MODEL": "small", "MODEL_SIZE": "tiny"}).model == "small"


def test_flag_without_value():
    """A boolean option alone means true, and may still be told false."""
    assert load(Knobs, {}, ["--is-open"]).is_open
    assert not load(Knobs, {"IS_OPEN": "true"}, ["--is-open", "false"]).is_open


def test_empty_optional_is_unset():
    """As compose files write what they leave out."""
    assert load(Knobs, {"KEY": ""}).key is None


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"QUEUE_LIMIT": "many"}, "QUEUE_LIMIT must be a whole number from 0 to 100; it is 'many'."),
        ({"QUEUE_LIMIT": "101"}, "QUEUE_LIMIT must be a whole number from 0 to 100; it is 101."),
        ({"WAIT_S": "-1"}, "WAIT_S must be a number from 0 up; it is -1."),
        ({"WAIT_S": "nan"}, "WAIT_S must be a number from 0 up; it is nan."),
        ({"WAIT_S": "inf"}, "WAIT_S must be a number from 0 up; it is inf."),
        ({"IS_OPEN": "perhaps"}, "IS_OPEN must be true or false; it is 'perhaps'."),
        ({"KEY": "secret\n"}, "KEY must be one line of printable characters, without a space at either end."),
        ({"MODEL": " base"}, "MODEL must be one line of printable characters, without a space at either end."),
        ({"MODE": "c"}, "MODE must be one of a, b; it is 'c'."),
    ],
)
def test_wrong_values(environ, said):
    """One sentence that names the variable, what it may be and what it is."""
    with pytest.raises(SettingError) as caught:
        load(Knobs, environ)
    assert str(caught.value) == said


def test_help_names_unit_and_default(capsys):
    """Every option with its unit and default, and that the environment does as well."""
    with pytest.raises(SystemExit) as ended:
        load(Knobs, {}, ["--help"], prog="thing")

    text = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    assert "requests that may wait [requests] (default: 10)" in text
    assert "secret (default: unset)" in text
    assert "environment variable" in text


def test_unknown_option():
    """Exit code 2, as everywhere."""
    with pytest.raises(SystemExit) as ended:
        parser_of(Knobs, "thing").parse_args(["--colour", "red"])
    assert ended.value.code == 2


def test_settings_of_others_are_options_too():
    """Given back as an environment; the help leaves them out, and some are not taken at all."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Others:
        """What somebody else reads."""

        wait_s: float = setting(9, "its own wait")
        colour: str = setting("red", "which")
        size: int = setting(1, "how large")

    knobs, passed_on = load_beside(
        Knobs, [Others], {}, ["--wait-s", "3", "--colour", "blue"], prog="thing", but=["SIZE"]
    )
    assert (knobs.wait_s, passed_on) == (3.0, {"COLOUR": "blue"})
    with pytest.raises(SystemExit):
        load_beside(Knobs, [Others], {}, ["--size", "3"], prog="thing", but=["SIZE"])


def test_names_of_a_record():
    """Other names of a variable are names as well."""
    assert {"QUEUE_LIMIT", "MODEL", "MODEL_SIZE"} <= set(names_of(Knobs))


def test_help_shows_kinds_of_values():
    """By type and unit; the example at the end is an option that there is."""
    text = parser_of(Knobs, "thing").format_help()
    for shown in ("--queue-limit N", "--wait-s SECONDS", "--is-open [true|false]", "--model MODEL", "--mode a|b"):
        assert shown in text
    assert "--queue-limit is QUEUE_LIMIT" in " ".join(text.split())
