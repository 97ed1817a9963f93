"""The `models` command."""

import re

from worker.models import pull


def test_list(capsys, monkeypatch, tmp_path):
    """One line a model, the embedded one first: its size, whether it is here, what it hears; and how to get one."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    assert pull.main([]) == 0
    said = capsys.readouterr().out
    listed = [re.split(r"\s{2,}", line) for line in said.splitlines()]
    assert listed[1] == ["spoken-digits", "none", "embedded", "English digits, no more"]
    assert ["tiny", "75 MB", "no", "99 languages, translates", "Systran/faster-whisper-tiny"] in listed
    assert ["large-v3", "3.1 GB", "no", "99 languages, translates", "Systran/faster-whisper-large-v3"] in listed
    assert "whisper-fleet models pull base" in said


def test_what_is_here_is_said(tmp_path):
    """As an earlier pull into the same folder left it."""
    repository = tmp_path / "models--Systran--faster-whisper-tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    (repository / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (repository / "snapshots" / ("0" * 40) / "model.bin").write_bytes(b"")
    here = {line.split()[0] for line in pull.lines(str(tmp_path), 200) if "  yes  " in line}
    assert here == {"tiny"}


def test_a_narrow_terminal_gets_whole_lines():
    """Without where each comes from, nothing is broken at 80 columns."""
    assert max(map(len, pull.lines(None, 80))) <= 80
    assert not any("Systran" in line for line in pull.lines(None, 80))


def test_pulling_shows_how_far_it_is(capsys, monkeypatch, tmp_path):
    """On stderr, so that stdout is the directory and nothing else."""

    def fetches(*_args, local_files_only=False, tqdm_class=None, **_options):
        if local_files_only:
            raise OSError("not here")
        with tqdm_class(total=75_000_000, unit="B") as bar:
            bar.update(75_000_000)
        with tqdm_class(total=10, unit="B") as bar:
            bar.update(10)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetches)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert pull.main(["pull", "tiny", "--model-dir", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{tmp_path}\n"
    assert "fetching tiny" in said.err
    assert "75.0/75.0 MB" in said.err


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
