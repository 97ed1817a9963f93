"""CPU seconds by part."""

from collections.abc import Awaitable, Callable

from fleet.child import ChildSpec, running
from loadtest.faults import service_of
from loadtest.usage import OTHERS, Meter, Sample, cores_used

BUSY = "while True: pass"


def test_cores_are_cpu_seconds_per_second() -> None:
    """
    A part that was restarted in between does not count backwards.
    """
    before, after = Sample(10, {"workers": 5.0, "balancer": 3.0}), Sample(14, {"workers": 11.0, "balancer": 0.1})

    assert cores_used(before, after) == {"workers": 1.5, "balancer": 0}


async def test_a_busy_service_is_seen(
    standin: Callable[[str], ChildSpec], eventually: Callable[..., Awaitable[None]]
) -> None:
    """
    Its own time, not its minder's; the rest of the machine's is told apart.
    """
    spec = standin(BUSY)
    meter = Meter({"workers": [spec]})
    async with running(spec):
        await eventually(lambda: service_of(spec) is not None)
        meter.read(0)
        await eventually(lambda: _used(meter) > 0.2)

    assert set(meter.samples[0].cpu_s) == {"workers", OTHERS}


def _used(meter: Meter) -> float:
    meter.read(1)
    return meter.samples[-1].cpu_s["workers"] - meter.samples[0].cpu_s["workers"]
