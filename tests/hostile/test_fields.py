"""Hostile parameters: refused by name, never echoed, never passed to the engine."""

from collections.abc import AsyncIterator

import pytest

from tests.chaos.clean import assert_clean
from tests.router.scripted import ScriptedFleet, scripted_fleet

WRONG = [
    *(("P-01", "temperature", value) for value in ("1e309", "inf", "nan", "-1", "1.0001", "abc", "0x1", "9" * 400)),
    *(("P-02", "language", value) for value in ("zz", "en\0", "../en", "canary" * 100_000)),
    *(("P-10", "temperature", value) for value in ("0_1", "\u0661", " 0", "+0")),
    *(("P-10", "beam_size", value) for value in ("1_0", "\u0662", "99", "-1", "1e3")),
    ("P-06", "timestamp_granularities[]", "canary"),
    ("P-09", "stream", "canary"),
    ("P-09", "response_format", "canary"),
]


@pytest.fixture
async def fleet() -> AsyncIterator[ScriptedFleet]:
    async with scripted_fleet(1) as one, assert_clean(one):
        one.workers[0].requests = 0
        yield one


@pytest.mark.parametrize(("row", "name", "value"), WRONG)
async def test_wrong_values_are_refused_by_name(fleet: ScriptedFleet, row: str, name: str, value: str):
    """400 that names the field; no worker ever sees it."""
    status, _, answer = await fleet.transcribe(**{name: value})
    assert status == 400
    assert answer["error"]["param"] in (name, name.removesuffix("[]"))
    assert "canary" not in answer["error"]["message"]
    assert fleet.workers[0].requests == 0


@pytest.mark.parametrize("language", ["EN", "en-US", "en_GB", "English", ""])
async def test_p02_languages_may_be_written_as_people_do(fleet: ScriptedFleet, language: str):
    """The worker is asked all the same."""
    status, _, _ = await fleet.transcribe(language=language)
    assert status == 200


@pytest.mark.parametrize("model", ["../../etc", "Systran/canary", "http://127.0.0.1:9/canary", "canary" * 2_000])
async def test_p03_other_models_are_not_found(fleet: ScriptedFleet, model: str):
    """404 without an echo, and nothing is fetched."""
    status, _, answer = await fleet.transcribe(model=model)
    assert (status, answer["error"]["code"]) == (404, "model_not_found")
    assert "canary" not in answer["error"]["message"]
    assert fleet.workers[0].requests == 0
