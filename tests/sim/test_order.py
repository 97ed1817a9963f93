"""Sizes, speeds and utilisation: what late binding and the order by size are worth."""

import asyncio
from functools import cache
from random import Random

from router.settings import RouterSettings
from tests.sim.engine.house import Order, open_house
from tests.sim.engine.machine import COST
from tests.sim.engine.measure import Waits
from tests.sim.engine.traffic import Callers, Story, mixed
from tests.sim.engine.virtual import simulate
from tests.sim.table import LOADS, SEEDS, SHIPPED, compare


@cache
def compared(load):
    return compare(load, range(SEEDS))


def closed_loop(seconds, *, users, workers, slots=1, seed=1, mean_s=1.0, slow=None, settings=None):
    """`users` callers that ask again as soon as they are answered; returns the machines' use and the stories."""

    async def story(clock):
        async with open_house(clock, workers=workers, seed=seed, slots=slots, settings=settings) as house:
            for number, slowness in (slow or {}).items():
                house.workers[number].slowness = slowness
            callers, rng = Callers(house), Random(seed)

            async def user():
                while clock.now < seconds:
                    work_s = rng.expovariate(1 / mean_s)
                    await callers.call(Order(audio_s=max(0.0, work_s - COST.fixed_s) / COST.rtf))

            async with asyncio.TaskGroup() as group:
                for _ in range(users):
                    group.create_task(user())
            return [machine.busy_s / clock.now / slots for machine in house.workers], callers.stories

    return simulate(story)


def test_scenario_01_closed_loop_keeps_every_slot_busy():
    """
    As many users as slots, 240 s: three of four workers are used at least 0.97, and all within 3 points.

    Also with two slots each, where a lost wake-up would show. The last stretch, in which users have stopped, is in it.
    """
    for slots in (1, 2):
        used, stories = closed_loop(240, users=4 * slots, workers=4, slots=slots)

        assert sorted(used)[1] >= 0.97
        assert max(used) - min(used) <= 0.03
        assert all(story.is_served for story in stories)


def test_scenario_02_size_mix_short_requests_hardly_wait():
    """
    Eight workers at load 0.7: mean at most 1 s, short p95 at most 3 s, long p95 at most 1.5 times that of a
    central queue without sizes.
    """
    waits = compared(0.7)

    assert waits[SHIPPED].mean <= 1.0
    assert waits[SHIPPED].short_p95 <= 3.0
    assert waits[SHIPPED].long_p95 <= 1.5 * waits["central FIFO"].long_p95


def test_scenario_03_size_mix_against_what_others_do():
    """
    Short p95 at least five times lower than least connections and round robin, at both loads; long p95 as above.
    """
    for load in LOADS:
        waits = compared(load)
        ours = waits[SHIPPED]

        assert 5 * ours.short_p95 <= waits["least connections"].short_p95
        assert 5 * ours.short_p95 <= waits["round robin"].short_p95
        assert 5 * ours.short_p95 <= waits["least expected work"].short_p95
        assert ours.long_p95 <= 1.5 * waits["central FIFO"].long_p95


def test_sizes_guessed_wrong_by_a_factor_of_e_still_help():
    """
    With a lognormal sigma of 1 short requests still wait five times less than behind least connections.
    """

    def short_p95(sigma):
        async def story(clock):
            async with open_house(clock, workers=8, settings=RouterSettings(probe_interval_s=4)) as house:
                arrivals = mixed(Random(0), load=0.85, slots=8, count=4000, sigma=sigma)
                return await Callers(house).play(arrivals)

        return Waits.of(simulate(story)).short_p95

    assert 5 * short_p95(1.0) <= compared(0.85)["least connections"].short_p95


def share_of_first(stories: list[Story], workers: int) -> float:
    """Requests of the first worker over those of a healthy one."""
    first = sum(story.worker == "http://w1" for story in stories)
    return first / ((len(stories) - first) / (workers - 1))


def test_scenario_04_slow_worker_gets_its_share_and_nobody_an_error():
    """
    At half speed a worker gets at most 0.55 of what a healthy one gets, at a tenth at most 0.12, after ten completions.

    The share is counted against a healthy worker and not against the mean: at saturation nobody who keeps all workers
    busy can give a worker of speed s less than s * N / (N - 1 + s) of the mean, which is 0.571 and 0.129 for N = 4.
    """
    for slowness, limit in ((2, 0.55), (10, 0.12)):
        _, stories = closed_loop(600, users=8, workers=4, slow={0: slowness})

        assert share_of_first(stories[10:], 4) <= limit
        assert all(story.is_served for story in stories)
