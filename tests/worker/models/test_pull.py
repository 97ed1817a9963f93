"""The `models` command."""

from worker.models import pull


def test_list(capsys):
    """One line a model, the embedded one first."""
    assert pull.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("spoken-digits ")
    assert any(line.split() == ["tiny", "Systran/faster-whisper-tiny"] for line in lines)


def test_embedded_model_is_always_there(capsys):
    """Pulling it prints where it is."""
    assert pull.main(["pull", "spoken-digits"]) == 0
    assert capsys.readouterr().out.strip().endswith("spoken-digits")


def test_unknown_model(capsys):
    """One sentence, exit code 3."""
    assert pull.main(["pull", "nonsense"]) == 3
    assert "no model called 'nonsense'" in capsys.readouterr().err


def test_scripted_engine_has_no_model(capsys):
    """Containers pull whatever MODEL names before they start; for fake:SECONDS that is nothing."""
    assert pull.main(["pull", "fake:0.2"]) == 0
    assert "nothing to pull" in capsys.readouterr().out
