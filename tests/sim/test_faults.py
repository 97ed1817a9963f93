"""Workers that fail, each in its own way, under a load that goes on."""

import asyncio
from collections import Counter
from random import Random

from router.ejection import Circuit
from router.settings import RouterSettings
from router.upstream import Health
from tests.sim.engine.house import Order, open_house
from tests.sim.engine.machine import Clip
from tests.sim.engine.measure import percentile
from tests.sim.engine.traffic import Callers, mixed, poisson
from tests.sim.engine.virtual import simulate

ONE_SECOND = Order(audio_s=48.5)  # of work
SHORT = Order(audio_s=8.5)  # a fifth of a second of work


def steady(load, until_s, *, slots=4, order=ONE_SECOND, work_s=1.0, seed=1):
    """Equal requests, Poisson arrivals."""
    return [(at, order) for at in poisson(Random(seed), load * slots / work_s, until_s)]


async def at(clock, when, act):
    """Do something later."""
    await asyncio.sleep(when - clock.now)
    act()


def statuses(stories):
    return Counter(story.status for story in stories)


def is_clean(house):
    """Nothing is left over: leases, queue, retries, spooled bytes."""
    return all(
        desk.pool.in_flight() == len(desk.queue) == desk.budget.retrying == desk.spool.memory_bytes == 0
        for desk in house.desks
    )


def test_scenario_05_fast_500s_are_a_black_hole_for_nobody():
    """
    One of four answers 500 in 5 ms: three requests reach it before it is out, then one for each time out.

    No caller sees any of it: 5 + 10 + 20 + 40 + 60 s, less a fifth, leave at most 5 tries in 115 s.
    """

    async def story(clock):
        async with open_house(clock, workers=4) as house:
            house.workers[0].answers_500 = True
            stories = await Callers(house).play(steady(0.7, 115))
            return stories, house.workers[0].arrivals, house.desk.pool.workers["http://w1"].ejection.opened

    stories, reached, opened = simulate(story)
    assert statuses(stories).keys() == {200}
    assert reached <= 3 + (opened - 1)
    assert opened <= 6


def test_scenario_06_bad_files_are_the_callers_fault():
    """
    50 files answered with 400: passed on unchanged, in one attempt each, and no worker is held to blame.
    """

    async def story(clock):
        async with open_house(clock, workers=4) as house:
            bad = [(0.4 * n, Order(audio_s=5, clip=Clip.BAD)) for n in range(50)]
            good = steady(0.5, 20)
            stories = await Callers(house).play(sorted([*bad, *good], key=lambda each: each[0]))
            return stories, [worker.circuit(clock.now) for worker in house.desk.pool], house.desk.attempts

    stories, circuits, attempts = simulate(story)
    assert statuses(stories)[400] == 50
    assert all(story.status == 200 for story in stories if story.order.clip is Clip.GOOD)
    assert set(circuits) == {Circuit.CLOSED}
    assert set(attempts) == {"ok"}


def test_scenario_07_all_busy_holds_the_queue():
    """
    Every worker says busy for 10 s: nobody is ejected, no retry is spent, nobody refused, and work
    starts within 1 s after.
    """

    async def story(clock):
        async with open_house(clock, workers=4) as house:

            def say(busy):
                for machine in house.workers:
                    machine.answers_busy = busy

            async with asyncio.TaskGroup() as group:
                group.create_task(at(clock, 5, lambda: say(True)))
                group.create_task(at(clock, 15, lambda: say(False)))
                stories = await Callers(house).play(steady(0.5, 30, order=SHORT, work_s=0.2))
            opened = [worker.ejection.opened for worker in house.desk.pool]
            return stories, opened, house.desk.attempts, is_clean(house)

    stories, opened, attempts, clean = simulate(story)
    held = [story for story in stories if 5 <= story.arrived_at < 15]
    assert statuses(stories).keys() == {200}
    assert opened == [0, 0, 0, 0]
    assert attempts.keys() == {"ok", "busy"}
    assert max(story.attempts for story in stories) == 1
    assert 15 <= min(story.started_at for story in held[1:]) <= 16
    assert clean


def test_scenario_08_killed_worker_costs_no_caller_anything():
    """
    SIGKILL with one running and three queued: no error, at most one retry each, first in line within 200 ms.

    Two are retried: the one that ran, and the next, which finds nobody there. Then the worker is out.
    """

    async def story(clock):
        async with open_house(clock, workers=4) as house:
            callers = Callers(house)
            async with asyncio.TaskGroup() as group:
                group.create_task(at(clock, 0.55, house.workers[0].crash))
                group.create_task(at(clock, 6, house.workers[0].start))
                await callers.play([(0.1 * n, ONE_SECOND) for n in range(7)])
            return callers.stories, house.desk.attempts, is_clean(house)

    stories, attempts, clean = simulate(story)
    retried = [story for story in stories if story.attempts == 2]
    first_free = min(story.ended_at for story in stories)
    assert statuses(stories) == {200: 7}
    assert max(story.attempts for story in stories) == 2
    assert attempts == {"ok": 7, "lost": 1, "connect": 1}
    assert min(story.started_at for story in retried) <= first_free + 0.2
    assert clean


def test_scenario_13_hanging_worker_is_out_after_three_probes():
    """
    It accepts and never answers: out within 8 s (a probe that times out takes 2 s), and its request is run elsewhere.
    """

    async def story(clock):
        async with open_house(clock, workers=4) as house:
            house.workers[0].is_hung = True
            stories = await Callers(house).play(steady(0.6, 30))
            out = next(when for when, worker, event, _ in house.desk.pool.events.kept if event == Health.SILENT)
            return stories, out, house.workers[0].arrivals, house.desk.attempts

    stories, out, reached, attempts = simulate(story)
    assert statuses(stories).keys() == {200}
    assert out <= 8
    assert reached == attempts["lost"] == 1
    assert max(story.ended_at - story.arrived_at for story in stories) <= 15


def test_scenario_14_starved_worker_that_still_answers_is_never_out():
    """
    Probes time out for 120 s while completions go on: busy is not dead, nobody is ejected.
    """

    async def story(clock):
        async with open_house(clock, workers=4) as house:
            house.workers[0].is_deaf = True
            house.workers[0].slowness = 2
            stories = await Callers(house).play(steady(0.7, 120))
            events = {event for _, worker, event, _ in house.desk.pool.events.kept if worker == "http://w1"}
            return stories, events, len(house.workers[0].served)

    stories, events, served = simulate(story)
    assert statuses(stories).keys() == {200}
    assert events.isdisjoint({"ejected", Health.SILENT})
    assert served >= 20


def test_scenario_15_all_probes_fail_and_all_workers_are_fine():
    """
    The fleet is used all the same within 8 s, at least 99 % served, with long clips among them, after a quiet minute.

    Long clips are the hard part: a worker on one shows no sign of life for over a minute.
    """

    async def story(clock):
        async with open_house(clock, workers=8) as house:
            await asyncio.sleep(60)  # nobody has answered anything for a while
            for machine in house.workers:
                machine.is_deaf = True
            await asyncio.sleep(4)
            stories = await Callers(house).play(mixed(Random(2), load=0.6, slots=8, count=1500))
            return stories, house.desk.attempts, is_clean(house)

    stories, attempts, clean = simulate(story)
    assert statuses(stories)[200] >= 0.99 * len(stories)
    assert statuses(stories)[400] <= 0.001 * len(stories)  # guessed thrice too short, and so taken away twice
    assert stories[0].started_at - stories[0].arrived_at <= 8
    assert attempts["lost"] <= 0.01 * attempts["ok"]
    assert clean


def test_scenario_22_poison_kills_two_workers_and_no_more():
    """
    A body under which processes die is refused after the second, whatever worker it would meet; all others are served.
    """

    async def story(clock):
        async with open_house(clock, workers=4) as house:
            poison = Order(audio_s=48.5, clip=Clip.POISON, name="poison")

            async def restart():
                while True:
                    await asyncio.sleep(1)
                    for machine in house.workers:
                        if not machine.is_up:
                            machine.start()

            async with asyncio.TaskGroup() as group:
                supervisor = group.create_task(restart())
                orders = [(at, order) for at, order in steady(0.6, 40)][:99]
                orders += [(5.0, poison), (20.0, poison), (30.0, poison)]
                stories = await Callers(house).play(sorted(orders, key=lambda each: each[0]))
                supervisor.cancel()
            return stories, sum(machine.deaths for machine in house.workers)

    stories, deaths = simulate(story)
    poisoned = [story for story in stories if story.order.clip is Clip.POISON]
    assert deaths == 2
    assert {story.code for story in poisoned} == {"audio_rejected"}
    assert statuses(stories) == {200: len(stories) - 3, 400: 3}


def test_scenario_23_retry_storm_stays_within_its_budget():
    """
    Half of all connections fail at load 0.8 for 60 s: at no moment more than 20 % of what is in
    flight and three are on a retry, and it ends with the fault.

    Goodput is at least 0.45 of capacity while it lasts; within 10 s after it, everything is served at once again.
    """

    async def story(clock):
        async with open_house(clock, workers=8, settings=RouterSettings()) as house:

            def break_lines(share):
                for machine in house.workers:
                    machine.unreachable_share = share

            async with asyncio.TaskGroup() as group:
                group.create_task(at(clock, 20, lambda: break_lines(0.5)))
                group.create_task(at(clock, 80, lambda: break_lines(0.0)))
                stories = await Callers(house, retries=2).play(steady(0.8, 120, slots=8))
            return stories, house.desk.most_retrying, is_clean(house)

    stories, most_retrying, clean = simulate(story)
    good = [story for story in stories if story.is_served and 20 <= story.ended_at < 80]
    after = [story for story in stories if story.arrived_at >= 90]
    assert most_retrying <= 3
    assert len(good) >= 0.45 * 8 * 60
    assert statuses(after).keys() == {200}
    assert percentile([story.wait_s for story in after], 0.95) <= 5
    assert clean
