"""What every test may use: a deadline that polls, clips with known words."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

# how long an example takes says nothing on a machine that others use: it may stand still for half a second
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")

SAMPLE = Path(__file__).parents[1] / "fleet" / "sample.wav"
SAMPLE_TEXT = "five seven nine zero one"


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Routers that tests start keep their jobs here, not in the user's own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> None:
    """By the programs that tests start too: a shell tells what it runs in the background to ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def sample() -> tuple[bytes, str]:
    """A clip of a human voice and the words in it."""
    return SAMPLE.read_bytes(), SAMPLE_TEXT


@pytest.fixture
def eventually() -> Callable[..., Awaitable[None]]:
    """`await eventually(lambda: condition)`: poll until it holds, fail at the deadline with what was waited for."""

    async def poll(holds: Callable[[], object], within_s: float = 20, what: str = "it") -> None:
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, f"{what} did not happen within {within_s} s"
            await asyncio.sleep(0.02)

    return poll
