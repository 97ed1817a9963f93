import asyncio
from random import Random

import pytest

from fleet.errors import BadRequest, DeadlineExceeded, FleetError, Unavailable, UpstreamFailed
from router.cache.answer import Answer
from router.cache.flights import Flights

ANSWER = Answer(200, {}, b"one")


async def follow(flights, key="k"):
    return await flights.follow(flights.find(key))


async def test_followers_get_what_the_leader_brings():
    """All of them, and nothing is left afterwards."""
    flights = Flights(10)
    async with asyncio.TaskGroup() as group:
        with flights.lead("k") as flight:
            followers = [group.create_task(follow(flights)) for _ in range(5)]
            await asyncio.sleep(0)
            assert flights.followers == 5
            flight.answer = ANSWER
    assert [task.result() for task in followers] == [ANSWER] * 5
    assert flights.followers == 0 and flights.find("k") is None


@pytest.mark.parametrize("error", [DeadlineExceeded(), Unavailable(), asyncio.CancelledError()])
async def test_what_is_the_leaders_own_is_not_handed_on(error):
    """Its time, its turn, its caller: the next tries for itself."""
    flights = Flights(10)
    async with asyncio.TaskGroup() as group:
        with pytest.raises(type(error)), flights.lead("k"):
            follower = group.create_task(follow(flights))
            await asyncio.sleep(0)
            raise error
    assert follower.result() is None


@pytest.mark.parametrize("error", [UpstreamFailed(), BadRequest("no", code="audio_rejected", should_retry=False)])
async def test_what_the_audio_is_refused_for_is_everybodys(error):
    """A file under which workers die is not run once for each of ten callers."""
    flights = Flights(10)
    async with asyncio.TaskGroup() as group:
        with pytest.raises(FleetError), flights.lead("k"):
            follower = group.create_task(catch(flights))
            await asyncio.sleep(0)
            raise error
    got = follower.result()
    assert got is not error and (got.code, got.to_json(), got.headers()) == (
        error.code,
        error.to_json(),
        error.headers(),
    )


async def catch(flights):
    try:
        await follow(flights)
    except FleetError as error:
        return error


async def test_no_more_wait_than_may():
    """Whoever is one too many finds nobody to follow, and leads nobody."""
    flights = Flights(1)
    async with asyncio.TaskGroup() as group:
        with flights.lead("k") as flight:
            group.create_task(follow(flights))
            await asyncio.sleep(0)
            assert flights.find("k") is None
            with flights.lead("k") as second:
                pass
            assert second is not flight
            flight.answer = ANSWER
    assert flights.find("k") is None


@pytest.mark.parametrize("seed", range(20))
async def test_at_any_interleaving_everybody_is_served_once_by_one_run_at_a_time(seed):
    """
    Callers come, hang up and run out of time at random: each that stays has an answer, two never run at once.
    """
    rng, flights, running, most = Random(seed), Flights(100), 0, 0

    async def call(patience):
        nonlocal running, most
        async with asyncio.timeout(patience):
            while (flight := flights.find("k")) is not None:
                if (answer := await flights.follow(flight)) is not None:
                    return answer
            with flights.lead("k") as flight:
                running += 1
                most = max(most, running)
                try:
                    for _ in range(rng.randrange(1, 8)):
                        await asyncio.sleep(0)
                    if rng.random() < 0.3:
                        raise Unavailable
                    flight.answer = ANSWER
                finally:
                    running -= 1
                return flight.answer

    async def caller():
        for _ in range(rng.randrange(10)):
            await asyncio.sleep(0)
        try:
            return await call(rng.choice([0, 0.0005, 30, 30]))
        except (TimeoutError, Unavailable) as error:
            return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(caller()) for _ in range(40)]
    assert all(task.result() is not None for task in tasks)
    assert most == 1
    assert flights.followers == 0 and flights.find("k") is None
