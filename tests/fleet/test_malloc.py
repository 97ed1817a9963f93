"""What the settings do is in tests/router/test_memory.py and tests/worker/test_memory.py."""

import ctypes

import pytest

from fleet import malloc


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_nothing_happens_without_glibc(monkeypatch: pytest.MonkeyPatch, error: type[Exception]):
    """Elsewhere a process starts as ever: no such library, or no such function in it."""
    asked = []

    class Elsewhere:
        @property
        def mallopt(self):
            asked.append("mallopt")
            raise AttributeError

    def load(_):
        asked.append("library")
        if error is OSError:
            raise error
        return Elsewhere()

    monkeypatch.setattr(ctypes, "CDLL", load)
    malloc.tune({malloc.M_ARENA_MAX: 1})
    assert asked == (["library"] if error is OSError else ["library", "mallopt"])
