"""A worker with a token serves who has it; a router with the same token has it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.router.scripted import scripted_fleet

CLOSED = ("/v1/models", "/models/", "/load")
OPEN = ("/health", "/healthz", "/readyz/", "/metrics")


async def test_only_who_has_the_token_is_served(serve: Callable[..., Any]):
    """Probes need none; a wrong one, or one in other bytes, is no better than none."""
    async with serve(model="fake:0", worker_token="right") as talk:  # noqa: S106
        for path in OPEN:
            assert (await talk.call("GET", path)).status == 200
        for path in CLOSED:
            for given in ("", "Bearer wrong", "Bearer", "Basic right", "Bearer \udcff"):
                answer = await talk.call("GET", path, headers={"Authorization": given})
                assert answer.refusal == (401, "invalid_api_key")
            assert (await talk.call("GET", path, headers={"Authorization": "Bearer right"})).status == 200
        assert (await talk.send(bytes(3200))).status == 401
        assert (await talk.send(bytes(3200), headers={"Authorization": "Bearer right"})).status == 200


@pytest.mark.parametrize("token", [None, "between-us"])
async def test_the_router_sends_its_own_token_and_never_the_callers_key(token: str | None):
    """The worker sees one of the two secrets only."""
    async with scripted_fleet(1, api_key="callers", worker_token=token) as fleet:
        assert (await fleet.transcribe(header_Authorization="Bearer callers"))[0] == 200
        (headers,) = fleet.workers[0].headers
    assert headers.get("Authorization") == (f"Bearer {token}" if token else None)
    assert "callers" not in str(headers)
