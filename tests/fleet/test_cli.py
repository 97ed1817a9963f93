"""The console script's front door."""

import subprocess
import sys

import pytest

from fleet import __version__, cli


def test_overview_offers_what_is_installed(capsys):
    """Commands whose module is there, no other."""
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert {"up", "router", "worker", "status", "transcribe"} <= set(cli.offered())
    assert all(name in text for name in cli.offered())


def test_command_without_its_module_is_not_offered(monkeypatch, capsys):
    """It is neither in the help nor a traceback."""
    monkeypatch.setitem(cli.COMMANDS, "ghost", cli.Command("nowhere.ghost", "not there"))

    assert "ghost" not in cli.offered()
    assert cli.main(["ghost"]) == 2
    assert "'ghost' is not part of this installation" in capsys.readouterr().err


def test_missing_requirement_is_one_sentence(monkeypatch, tmp_path, capsys):
    """What to install, for a command whose module needs what is not there."""
    (tmp_path / "needy.py").write_text("import not_installed_anywhere")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(cli.COMMANDS, "needy", cli.Command("needy", "needs much", "worker"))

    assert cli.main(["needy"]) == 3
    assert "needs not_installed_anywhere" in (said := capsys.readouterr().err)
    assert f"{sys.executable} -m pip install 'whisper-fleet[worker]'" in said  # whatever pip comes first on the PATH


def test_what_is_needed_only_later_is_asked_for_first(monkeypatch, tmp_path, capsys):
    """A report that cannot be drawn is found out before it is measured; help needs nothing."""
    (tmp_path / "slow.py").write_text("def main(argv): return 0")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(cli.COMMANDS, "slow", cli.Command("slow", "", "loadtest", ("json", "not_installed_anywhere")))

    assert cli.main(["slow", "--help"]) == 0
    assert cli.main(["slow"]) == 3
    said = capsys.readouterr().err
    assert "needs not_installed_anywhere" in said
    assert "pip install 'whisper-fleet[loadtest]'" in said


def test_no_command_is_a_usage_error(capsys):
    """With the help, and exit code 2."""
    assert cli.main([]) == 2
    assert capsys.readouterr().out.startswith("usage: whisper-fleet COMMAND")


def test_unknown_command_names_the_known(capsys):
    """One line."""
    assert cli.main(["trnscribe"]) == 2
    assert "'trnscribe' is not a command; did you mean transcribe; there are: up" in capsys.readouterr().err


def test_version(capsys):
    """The package's own."""
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"whisper-fleet {__version__}\n"


@pytest.mark.parametrize("name", [name for name in cli.COMMANDS if name in cli.offered()])
def test_every_command_has_help(name):
    """With units and defaults, from a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "fleet.cli", name, "--help"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "default" in done.stdout
    assert done.stdout.startswith(f"usage: whisper-fleet {name}")


def test_front_door_is_light():
    """Help and client commands load neither router nor worker, nor any engine."""
    code = (
        "import sys, fleet.cli, fleet.transcribe, fleet.status; fleet.cli.main(['--help']); "
        "heavy = {'router', 'worker', 'ctranslate2', 'numpy', 'av'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy - {'router', 'worker'} else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
