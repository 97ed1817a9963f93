import builtins
import gc
import warnings

import pytest

from fleet.serve import StartupError
from router.cache.stores import default_folder, open_store
from router.settings import RouterSettings


def settings(**changes):
    return RouterSettings(workers=("http://w:1",), **changes)


async def test_each_word_opens_its_store(tmp_path):
    """Off opens none; a URL is Redis, which is not asked yet."""
    assert open_store(settings()) is None
    for word, kind in (("memory", "memory"), ("disk", "disk"), ("redis://127.0.0.1:1/0", "redis")):
        store = open_store(settings(cache=word, cache_dir=str(tmp_path)))
        assert store.kind == kind
        await store.close()


@pytest.mark.parametrize(
    ("word", "module", "extra"),
    [("disk", "router.cache.disk", "cache"), ("redis://x", "router.cache.redis", "redis")],
)
def test_a_missing_package_is_one_sentence_with_the_extra(monkeypatch, word, module, extra):
    """And the exit code of what a restart does not cure."""
    real = builtins.__import__
    package = {"cache": "diskcache", "redis": "redis"}[extra]

    def without(name, *rest):
        if name == module:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(StartupError, match=rf"pip install 'whisper-fleet\[{extra}\]'"):
        open_store(settings(cache=word))


def test_answers_lie_among_the_users_caches(monkeypatch):
    """Where the system says that caches lie."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert str(default_folder()) == "/somewhere/whisper-fleet/answers"


def test_a_folder_that_cannot_be_is_one_sentence_too(tmp_path):
    """At the start, not at the first request."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match="CACHE_DIR"):
        open_store(settings(cache="disk", cache_dir=str(tmp_path / "file" / "below")))
    (tmp_path / "cache.db").write_text("no database at all " * 100)
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):  # diskcache leaves it open
        with pytest.raises(StartupError, match="CACHE_DIR"):
            open_store(settings(cache="disk", cache_dir=str(tmp_path)))
        gc.collect()
