"""More work than the fleet can do: who is held, who is refused, and when the refused are told to return."""

import asyncio
import math
from collections import Counter
from random import Random

from fleet.errors import Unavailable
from router.admission import Ask
from router.queue_order import order_key
from tests.sim.engine.house import Order, open_house
from tests.sim.engine.machine import COST
from tests.sim.engine.measure import mean, percentile
from tests.sim.engine.traffic import MEAN_WORK_S, Callers, audio_s, poisson
from tests.sim.engine.virtual import simulate

CALM, BURST = 0.6, 1.6
BURST_FROM_S, BURST_TO_S, END_S = 60, 240, 600


def burst(seed, *, slots, peak=BURST, sigma=0.5):
    """The size mix, Poisson, at 0.6 of capacity except for three minutes."""
    rng = Random(seed)

    def rate(at):
        return (peak if BURST_FROM_S <= at < BURST_TO_S else CALM) * slots / MEAN_WORK_S

    for at in poisson(rng, rate, END_S):
        length = audio_s(rng)
        yield at, Order(audio_s=length, guess_s=length * rng.lognormvariate(0, sigma))


def test_scenario_16_burst_is_held_not_bounced():
    """
    0.6, then 1.6 times capacity for 180 s, then 0.6; clients with two retries: at least 98 % served, and at most 1.1
    uploads per request. Measured: 100 % and 1.02.

    The backlog cannot be gone 180 s after the burst unless a third of it is refused: 0.6 x 180 s too much leaves at 0.4
    a second, which takes 270 s. So: half of the runs have an empty queue by then, a fifth later.
    """

    def play(seed):
        async def story(clock):
            async with open_house(clock, workers=8, seed=seed) as house:
                empty_at = []

                async def look():
                    while True:
                        await asyncio.sleep(1)
                        if clock.now > BURST_TO_S and not len(house.desk.queue):
                            empty_at.append(clock.now)

                async with asyncio.TaskGroup() as group:
                    looking = group.create_task(look())
                    stories = await Callers(house, retries=2, seed=seed).play(burst(seed, slots=8))
                    looking.cancel()
                return stories, min(empty_at, default=math.inf) - BURST_TO_S

        return simulate(story)

    runs = [play(seed) for seed in range(5)]
    stories = [story for some, _ in runs for story in some]
    assert mean(story.is_served for story in stories) >= 0.98
    assert mean(story.uploads for story in stories) <= 1.1
    assert percentile([empty_s for _, empty_s in runs], 0.5) <= 270 * 1.2


def refused_at_once(callers, *, seed=1):
    """A fleet of eight at its limit, and more callers in one moment; (told seconds, seconds of work) of the refused."""

    async def story(clock):
        async with open_house(clock, workers=8, seed=seed) as house:
            rng, refused = Random(seed), []

            async def call():
                order = Order(audio_s=audio_s(rng))
                ask = Ask(audio_s=order.audio_s, arrived_at=clock.now, deadline_at=math.inf)
                error = house.desk.admission.refusal(ask, clock.now)
                if error is None:
                    await Callers(house).call(order)
                else:
                    refused.append((error.retry_after_s, COST.seconds(order.audio_s)))

            async with asyncio.TaskGroup() as group:
                for _ in range(callers):
                    group.create_task(call())
            return refused

    return simulate(story)


def test_scenario_18_refused_callers_return_spread_out():
    """
    Over 1000 callers refused at once: all are told at most 60 s, and no second of return is crowded.

    What fits into 60 s (at 2.3 a second) returns at no more than twice the drain rate. The rest cannot: no client
    honours more than 60 s, so they are spread over its last third, in place of all in one second as a plain cap does.
    """
    refused = refused_at_once(1900)
    drain = 8 / mean(work_s for _, work_s in refused)
    seconds = Counter(math.ceil(told_s) for told_s, _ in refused)
    early = [count for second, count in seconds.items() if second <= 40]

    assert len(refused) >= 1000
    assert all(1 <= told_s <= 60 for told_s, _ in refused)
    assert max(early, default=0) <= max(3, 2 * drain)
    assert max(seconds.values()) <= 2 * len(refused) / 20


def test_retry_after_is_close_to_the_time_at_which_there_is_room():
    """
    In a burst to 2.5 times capacity at most one in ten is told less than half of the time until it would be let in.

    The time until there is room is that of a newcomer of the same size who asks four times a second and takes nothing.
    Most are told too long rather than too short (the median error is about the time itself): the one horizon counts
    long requests that a short one would pass. A horizon for each size was exact to the second when no more came, but
    in this burst served 98.98 % with 1.48 uploads where one horizon serves 99.30 % with 1.38: early returns cost tries.
    """

    async def story(clock):
        async with open_house(clock, workers=8) as house:
            admission, told = house.desk.admission, []
            check = admission.check

            async def until_room(ask, told_s):
                began = clock.now
                while clock.now < began + 2 * told_s:
                    est_s = house.desk.pool.cost().seconds(ask.audio_s)
                    if admission.expected_wait_s(clock.now, order_key(clock.now, est_s)) <= 120:
                        break
                    await asyncio.sleep(0.25)
                told.append((told_s, clock.now - began))

            def watched(ask, now):
                try:
                    check(ask, now)
                except Unavailable as error:
                    group.create_task(until_room(ask, error.retry_after_s))
                    raise

            admission.check = watched
            async with asyncio.TaskGroup() as group:
                await Callers(house, retries=2).play(burst(0, slots=8, peak=2.5))
            return told

    told = simulate(story)
    assert len(told) >= 300
    assert mean(told_s <= real_s / 2 for told_s, real_s in told) <= 0.1
