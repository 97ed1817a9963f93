"""Keys at the door: whose they are, what is left to them, and who may guess."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp.test_utils import make_mocked_request

from fleet.errors import Forbidden, RateLimited, Unauthorized
from router.caller import Caller
from router.door import KeptReply, form_of
from router.key_file import KeyFile
from router.keyring import Keyring, issue
from router.keys import Keys, given_key, tenant_of
from router.limits import UNLIMITED, Limits
from router.lockout import WRONG_AT_ONCE
from tests.router.scripted import HoldGate, answers, hangs, scripted_fleet, until


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"Authorization": "Bearer abc"}, "abc"),
        ({"Authorization": "bearer  abc "}, "abc"),
        ({"X-API-Key": "abc"}, "abc"),
        ({"Authorization": "Basic abc"}, ""),
        ({}, ""),
    ],
)
def test_a_key_comes_as_bearer_token_or_in_its_own_header(headers, key):
    """
    Never from the query string.
    """
    assert given_key(make_mocked_request("GET", "/?api_key=no", headers=headers)) == key


def test_a_tenants_name_does_not_tell_its_key():
    """
    Same key, same name; the name is a hash.
    """
    assert tenant_of("secret") == tenant_of("secret") != tenant_of("other")
    assert "secret" not in tenant_of("secret")
    assert tenant_of("") == ""


PEPPER = b"p" * 32
NOW = datetime.now(UTC)


def ring_of(*names, expires_at=None, limits=UNLIMITED):
    """A ring, and its keys by name."""
    issued = {name: issue(name, PEPPER, NOW, limits=limits, expires_at=expires_at) for name in names}
    return Keyring(PEPPER, [record for _, record in issued.values()]), {name: key for name, (key, _) in issued.items()}


def test_a_tenant_of_the_file_has_the_keys_id_for_a_name():
    """
    One API_KEY beside the file is a tenant too; whatever else is sent is nobody's.
    """
    ring, keys_of = ring_of("crm", "kiosk")
    keys = Keys("chosen", None)
    keys.replace(ring)
    assert keys.tenant(keys_of["crm"], "a") == ring.named("crm").id == keys.tenant_named("crm")
    assert keys.tenant("chosen", "a") == "api-key"
    assert (keys.name_of(ring.named("crm").id), keys.name_of("x"), keys.tenant_named("x")) == ("crm", "", None)
    for wrong in ("", "crm", ring.named("crm").id, keys_of["crm"][:-1]):
        with pytest.raises(Unauthorized):
            keys.tenant(wrong, "a")


def test_a_file_without_keys_lets_nobody_in():
    """
    An empty list is not an open door.
    """
    keys = Keys(None, None)
    assert keys.tenant("any", "a") == tenant_of("any")
    keys.replace(Keyring(PEPPER))
    with pytest.raises(Unauthorized):
        keys.tenant("any", "a")


def test_a_revoked_or_expired_key_is_worth_nothing_where_it_was_let_in_before():
    """
    A connection that stays open asks for its allowance with every request it makes.
    """
    ring, keys_of = ring_of("crm", expires_at=NOW + timedelta(days=1))
    keys = Keys(None, None)
    keys.replace(ring)
    tenant = keys.tenant(keys_of["crm"], "a")
    keys.allowance(tenant)
    keys.replace(Keyring(PEPPER))
    with pytest.raises(Unauthorized):
        keys.allowance(tenant)
    keys.replace(ring)
    keys.allowance(tenant)
    expired, keys_of = ring_of("old", expires_at=NOW)
    keys.replace(expired)
    for ask in (lambda: keys.tenant(keys_of["old"], "a"), lambda: keys.allowance(expired.named("old").id)):
        with pytest.raises(Unauthorized):
            ask()
    assert keys.tenant_named("old") is None


def test_who_guesses_is_not_listened_to_for_a_while():
    """
    Not even to the right API_KEY, or guessing would go on; keys of the file have nothing that could be guessed.
    """
    ring, keys_of = ring_of("crm")
    keys = Keys("chosen", "boss")
    keys.replace(ring)
    for _ in range(WRONG_AT_ONCE):
        with pytest.raises(Unauthorized):
            keys.tenant("wrong", "10.0.0.1")
    with pytest.raises(RateLimited) as refused:
        keys.tenant("chosen", "10.0.0.1")
    assert 0 < refused.value.retry_after_s <= 3
    assert keys.tenant(keys_of["crm"], "10.0.0.1")
    assert keys.tenant("chosen", "10.0.0.2")


def test_guessing_behind_a_proxy_locks_nobody_out():
    """
    Where the right API_KEY came from before, it goes on coming; that says nothing about the ADMIN_KEY.
    """
    keys = Keys("chosen", "boss")
    assert keys.tenant("chosen", "10.0.0.1")
    for _ in range(WRONG_AT_ONCE + 5):
        with pytest.raises(Unauthorized):
            keys.tenant("wrong", "10.0.0.1")
    assert keys.tenant("chosen", "10.0.0.1")
    for _ in range(WRONG_AT_ONCE):
        with pytest.raises(Unauthorized):
            keys.check_admin("wrong", "10.0.0.1")
    with pytest.raises(RateLimited):
        keys.check_admin("boss", "10.0.0.1")


def test_sending_no_key_is_no_guess():
    """
    A status page that is left open asks for ever.
    """
    keys = Keys("chosen", None)
    for _ in range(WRONG_AT_ONCE + 1):
        with pytest.raises(Unauthorized):
            keys.tenant("", "10.0.0.1")
    assert keys.tenant("chosen", "10.0.0.1")
    with pytest.raises(Forbidden):
        keys.check_admin("any", "10.0.0.1")


@pytest.fixture
def file(tmp_path):
    return KeyFile.at(str(tmp_path / "keys.json"))


def bearer(file, **limits):
    """A new key of the file, as the header that sends it."""
    key, _ = file.add(f"key{time.monotonic_ns()}", Limits(**limits), now=NOW, expires_at=None)
    return {"header_Authorization": f"Bearer {key}"}


async def test_a_rate_is_kept_and_shown(file):
    """
    Two a minute: the third is refused, before its body, with the time to come back; others are not concerned.
    """
    limited, other = bearer(file, requests=2, per_s=60), bearer(file)
    async with scripted_fleet(1, api_keys_file=str(file.path)) as fleet:
        for left in (1, 0):
            status, headers, _ = await fleet.transcribe(**limited)
            assert (status, headers["x-ratelimit-limit-requests"]) == (200, "2")
            assert headers["x-ratelimit-remaining-requests"] == str(left)
            assert "x-ratelimit-limit-audio-seconds" not in headers
        status, headers, answer = await fleet.transcribe(**limited)
        assert (status, answer["error"]["code"]) == (429, "rate_limit_exceeded")
        assert answer["error"]["type"] == "rate_limit_error"
        assert 25 <= int(headers["Retry-After"]) <= 30
        assert headers["retry-after-ms"] == headers["Retry-After"] + "000"
        assert headers["x-ratelimit-reset-requests"] in ("1m0s", "59s", "58s", "57s", "56s", "55s")
        status, headers, _ = await fleet.transcribe(**other)
        assert (status, [name for name in headers if name.lower().startswith("x-ratelimit")]) == (200, [])
        assert fleet.workers[0].requests == 3
        assert fleet.is_clean()


async def test_requests_at_a_time_are_a_scope(file):
    """
    While one runs the next is refused; when it is answered, or its caller hangs up, there is room again.
    """
    key = bearer(file, concurrency=1)
    async with scripted_fleet(1, slots=4, api_keys_file=str(file.path)) as fleet:
        worker = fleet.workers[0]
        normal, worker.behaviour = worker.behaviour, (gate := HoldGate())
        async with asyncio.TaskGroup() as group:
            first = group.create_task(fleet.transcribe(**key))
            await gate.arrived.wait()
            status, headers, answer = await fleet.transcribe(**key)
            assert (status, answer["error"]["code"]) == (429, "concurrency_limit")
            assert headers["Retry-After"] == "1"
            gate.release.set()
        assert first.result()[0] == 200

        worker.behaviour = hangs
        async with asyncio.TaskGroup() as group:
            leaver = group.create_task(fleet.transcribe(**key))
            await until(lambda: worker.running == 1)
            leaver.cancel()
        await until(fleet.is_clean)
        worker.behaviour = normal
        assert (await fleet.transcribe(**key))[0] == 200


async def test_audio_is_checked_by_the_estimate_and_charged_as_decoded(file):
    """
    A worker finds a second in each clip; 32 kB of WAV seem a second too, and 320 kB ten.
    """
    key = bearer(file, audio_s_per_day=5)
    async with scripted_fleet(1, api_keys_file=str(file.path)) as fleet:
        status, headers, _ = await fleet.transcribe(b"R" * 320_000, **key)
        assert (status, headers["x-should-retry"]) == (429, "false")  # it never fits
        assert headers["x-ratelimit-remaining-audio-seconds"] == "5"
        for left in (4, 3, 2, 1, 0):
            status, _, _ = await fleet.transcribe(b"R" * 1000, **key)
            assert status == 200
            status, headers, _ = await fleet.transcribe(b"", **key)
            assert headers["x-ratelimit-remaining-audio-seconds"] == str(left)
        status, headers, answer = await fleet.transcribe(b"R" * 10, **key)
        assert (status, answer["error"]["code"]) == (429, "quota_exceeded")
        assert headers["x-should-retry"] == "false"
        assert headers["x-ratelimit-reset-audio-seconds"].startswith(("24h0m0s", "23h59m"))
        assert fleet.is_clean()


async def test_what_fails_costs_nothing_and_who_leaves_pays(file):
    """
    Ours to bear; but hanging up just before the answer is no way to transcribe for nothing.
    """
    key = bearer(file, audio_s_per_day=100)
    async with scripted_fleet(1, api_keys_file=str(file.path), retry_limit=0) as fleet:
        worker = fleet.workers[0]

        async def left():
            return int((await fleet.transcribe(b"", **key))[1]["x-ratelimit-remaining-audio-seconds"])

        worker.behaviour = answers(400)
        assert (await fleet.transcribe(**key))[0] == 400
        assert await left() == 100
        worker.behaviour = hangs
        async with asyncio.TaskGroup() as group:
            leaver = group.create_task(fleet.transcribe(b"R" * 320_000, **key))
            await until(lambda: worker.running == 1)
            leaver.cancel()
        await until(fleet.is_clean)
        assert 50 < await left() < 100


async def test_refused_by_the_head_alone_and_counted_once(file):
    """
    Who expects a 100 is told of its limit before it sends, and the question itself takes nothing away.
    """
    key = bearer(file, requests=1, per_s=3600)["header_Authorization"]
    async with scripted_fleet(1, api_keys_file=str(file.path)) as fleet:
        head = {"Authorization": key, "Expect": "100-continue", "Content-Type": "multipart/form-data; boundary=x"}
        body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nR\r\n--x--\r\n'
        url = f"{fleet.url}/v1/audio/transcriptions"
        async with fleet.client.post(url, data=body, headers=head) as response:
            assert response.status == 200
            assert response.headers["x-ratelimit-remaining-requests"] == "0"
        async with fleet.client.post(url, data=body, headers=head) as response:
            assert response.status == 429
            assert response.headers["x-should-retry"] == "false"


async def test_every_door_obeys(file):
    """
    A caller without HTTP has its limits by its tenant's name; guesses are free, but not for who was revoked.
    """
    bearer(file, requests=1, per_s=3600)
    async with scripted_fleet(1, api_keys_file=str(file.path)) as fleet:
        keys = fleet.service.keys
        tenant = keys.tenant_named(file.read().records[0].name)
        now = time.monotonic()
        caller = Caller(request_id="r", door="wyoming", arrived_at=now, deadline_at=now + 30, tenant=tenant)
        await fleet.service.intake.serve(caller, form_of([], b"RIFF"), KeptReply())
        with pytest.raises(RateLimited):
            await fleet.service.intake.serve(caller, form_of([], b"RIFF"), KeptReply())
        await fleet.service.intake.serve(replace(caller, is_guess=True), form_of([], b"RIFF"), KeptReply())
        fleet.service.keys.replace(Keyring(PEPPER))
        for one in (caller, replace(caller, is_guess=True)):
            with pytest.raises(Unauthorized):
                await fleet.service.intake.serve(one, form_of([], b"RIFF"), KeptReply())


async def test_streams_show_what_is_left_too(file):
    """
    Their head is sent while the request still waits.
    """
    key = bearer(file, requests=5, per_s=60)
    async with scripted_fleet(1, api_keys_file=str(file.path)) as fleet:
        fleet.workers[0].behaviour = (gate := HoldGate())
        async with asyncio.TaskGroup() as group:
            first = group.create_task(fleet.transcribe(**key))
            await gate.arrived.wait()
            second = group.create_task(fleet.transcribe(stream="true", **key))
            await until(lambda: len(fleet.service.floor.queue) == 1)
            gate.release.set()
        assert first.result()[1]["x-ratelimit-remaining-requests"] == "3"
        assert second.result()[1]["x-ratelimit-remaining-requests"] == "3"


def test_metrics_learn_the_class_of_a_key_and_not_which():
    """
    Three words, whoever calls.
    """
    ring, _ = ring_of("crm")
    assert Keys(None, None).class_of(tenant_of("anything")) == "none"
    keys = Keys("secret", None)
    assert keys.class_of(keys.tenant("secret", "a")) == "shared"
    keys.replace(ring)
    assert keys.class_of(keys.tenant("secret", "a")) == "shared"
    assert keys.class_of(ring.records[0].id) == "named"
