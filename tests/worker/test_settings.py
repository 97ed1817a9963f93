"""Settings: names, other names, bounds."""

import pytest

from fleet.settings import SettingError, load
from worker.settings import WorkerSettings


def read(*argv: str, **environ: str) -> WorkerSettings:
    return load(WorkerSettings, environ, argv)


@pytest.mark.parametrize("environ", [{"MODEL": "tiny"}, {"MODEL_SIZE": "tiny"}])
def test_the_model_has_two_names(environ: dict[str, str]):
    """MODEL_SIZE is what others call it; the option is --model."""
    assert read(**environ).model == "tiny"
    assert read("--model", "base", **environ).model == "base"


def test_slots_have_two_names_and_depend_on_the_device():
    """One on CPU, sixteen on CUDA, and what is set wherever it is set."""
    assert (read().slots("cpu"), read().slots("cuda")) == (1, 16)
    assert read(MAX_ACTIVE_REQUESTS="3").slots("cpu") == 3
    assert read(MAX_CONCURRENT_TRANSCRIPTIONS="4").slots("cuda") == 4


def test_scripted_engine_is_told_by_its_name():
    """`fake:0.2` takes 0.2 s a clip; a bad number is a bad setting."""
    assert read(MODEL="fake:0.2").scripted_s == (0.2, 0)
    assert read(MODEL="fake:0.2+0.01").scripted_s == (0.2, 0.01)
    assert read().scripted_s is None
    for name in ("fake:soon", "fake:-1", "fake:nan", "fake:1+x"):
        with pytest.raises(SettingError, match="MODEL"):
            _ = read(MODEL=name).scripted_s


def test_what_decodes_is_unset():
    """Unset means: as the model's card says."""
    settings = read()
    assert {settings.beam_size, settings.vad_threshold, settings.audio_context, settings.speech_pad_ms} == {None}


def test_a_system_without_affinity_has_all_its_cores(monkeypatch: pytest.MonkeyPatch):
    """macOS has no sched_getaffinity."""
    monkeypatch.setattr("fleet.plan.CAN_PIN", False)
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    assert read().threads >= 1
    assert read(CPU_THREADS="3").threads == 3


def test_the_language_is_a_code_or_a_name():
    """As in a request; what no request could mean is refused at the start."""
    assert read(LANGUAGE="English").default_language == "en"
    assert read(LANGUAGE="pt-BR").default_language == "pt"
    assert read(LANGUAGE="auto").default_language is read().default_language is None
    with pytest.raises(SettingError, match="LANGUAGE"):
        read(LANGUAGE="klingon").check()
