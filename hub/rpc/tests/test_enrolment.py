"""Enrolment, rotation and whose samples they are, over real TLS."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from asgiref.sync import sync_to_async
from pytest_django import Settings

from hub.ingest.tests import wire
from hub.machines import authority, credentials, enrolment
from hub.machines.models import Credential, Machine
from hub.people import throttle
from hub.rpc.authenticate import DENIED
from hub.rpc.tests.agent import Agent, first_word, serving
from hub.rpc.tests.agent import agent as plain_agent
from hub.rpc.tests.trusted import (
    Trust,
    agent,
    agents_secret,
    bearer,
    enrol,
    enrolled,
    rotate,
)
from hub.storage.models import Sample

pytestmark = pytest.mark.django_db(transaction=True)

Code = grpc.StatusCode


@pytest.fixture(autouse=True)
def trust(settings: Settings, tmp_path: Path) -> Trust:
    settings.DATA_DIR = tmp_path
    settings.GRPC_TLS = "on"
    # Nobody is trusted for where he comes from.
    settings.AGENT_TOKEN = "a-shared-token"
    return Trust(authority.ca_pem().encode())


async def a_token(**said: Any) -> str:
    token, _ = await sync_to_async(enrolment.make_token)(None, **said)
    return token


async def said(coroutine: Any) -> tuple[Code, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await coroutine
    return raised.value.code(), raised.value.details() or ""


async def first_sample(web: Agent, named: str = "web-1") -> None:
    await web.hello(named)
    await web.send(wire.layout("/"), wire.ticks([1], (0.5,)))
    await web.acked(1)


async def stored() -> dict[str, int]:
    """Return how many samples each machine has."""
    rows = Sample.objects.values_list("machine__machine_id", flat=True)
    names = [name async for name in rows]
    return {name: names.count(name) for name in names}


async def test_an_agent_is_enrolled_and_streams_under_its_own_name(
    trust: Trust,
) -> None:
    token, secret = await a_token(), agents_secret()

    async with serving() as (_, port):
        made = await enrol(port, trust, token=token, machine_id="web-1", secret=secret)
        async with agent(port, trust, secret) as web:
            await first_sample(web)

    assert made.machine_id == "web-1"
    assert made.certificate == b""
    assert abs(made.clock_unix_ms - wire.now_ms()) < 10_000
    assert await stored() == {"web-1": 1}


async def test_an_agent_speaks_for_its_own_machine_whatever_it_says(
    trust: Trust, caplog: pytest.LogCaptureFixture
) -> None:
    victims, _ = await enrolled("victim")
    secret, _ = await enrolled("web-1")
    recorded = [wire.hello("victim"), wire.layout("/"), wire.ticks([1, 2], (0.5,))]

    async with serving() as (_, port):
        for own in (victims, secret):
            # Word for word what the other has sent: it is stored as its own.
            async with agent(port, trust, own) as web:
                await web.send(*recorded)
                assert (await web.read()).welcome.committed_sequence == 0
                await web.acked(2)
        async with agent(port, trust, victims) as web:
            assert (await web.hello("victim")).committed_sequence == 2

    assert await stored() == {"victim": 2, "web-1": 2}
    [told] = [one for one in caplog.messages if "hello.named_another" in one]
    assert "'machine': 'web-1'" in told
    assert "'named': 'victim'" in told


async def test_a_machine_with_a_credential_is_spoken_for_with_that_alone(
    settings: Settings, trust: Trust
) -> None:
    await enrolled("web-1")

    async with serving() as (_, port):
        shared = await first_word(
            lambda: agent(port, trust, settings.AGENT_TOKEN), wire.hello("web-1")
        )
        async with agent(port, trust, settings.AGENT_TOKEN) as web:
            await first_sample(web, "web-2")

    assert shared[0] == Code.PERMISSION_DENIED
    assert await stored() == {"web-2": 1}


async def test_a_token_is_refused_in_the_same_words_whoever_asks_for_whom(
    trust: Trust,
) -> None:
    secret, _ = await enrolled("web-1")
    used = await a_token()
    async with serving() as (_, port):
        await enrol(port, trust, token=used, machine_id="b", secret=agents_secret())
        answers = {
            await said(
                enrol(port, trust, token=t, machine_id=m, secret=agents_secret())
            )
            for t in (used, "", used + " ", secret)
            for m in ("web-1", "unknown")
        }

    assert answers == {(Code.UNAUTHENTICATED, enrolment.REFUSED)}


async def test_who_guesses_is_told_to_wait_and_who_knows_is_not(trust: Trust) -> None:
    token, secret = await a_token(), agents_secret()
    guess = {"token": "sme_guess", "machine_id": "x", "secret": agents_secret()}

    async with serving() as (_, port):
        codes = [(await said(enrol(port, trust, **guess)))[0] for _ in range(12)]
        await enrol(port, trust, token=token, machine_id="web-1", secret=secret)

    assert codes == [Code.UNAUTHENTICATED] * 10 + [Code.RESOURCE_EXHAUSTED] * 2


@pytest.mark.parametrize("name", ["", "a/b", "x" * 129, "web\n1", " web"])
async def test_a_name_that_cannot_be_one_uses_no_token_up(
    trust: Trust, name: str
) -> None:
    token, secret = await a_token(), agents_secret()

    async with serving() as (_, port):
        code, _ = await said(
            enrol(port, trust, token=token, machine_id=name, secret=secret)
        )
        made = await enrol(port, trust, token=token, machine_id="ok", secret=secret)

    assert (code, made.machine_id) == (Code.INVALID_ARGUMENT, "ok")


async def test_a_bad_certificate_request_uses_no_token_up(trust: Trust) -> None:
    asked = {"token": await a_token(), "machine_id": "a", "secret": agents_secret()}

    async with serving() as (_, port):
        code, _ = await said(enrol(port, trust, **asked, certificate_request=b"x"))
        made = await enrol(port, trust, **asked)

    assert (code, made.machine_id) == (Code.INVALID_ARGUMENT, "a")


async def test_both_secrets_speak_while_a_rotation_settles(trust: Trust) -> None:
    old, _ = await enrolled("web-1")
    new = agents_secret()

    async with serving() as (_, port):
        told = await rotate(port, trust, old, new)
        for number, secret in enumerate((old, new)):
            async with agent(port, trust, secret) as web:
                welcome = await web.hello()
                assert welcome.committed_sequence == number
                await web.send(wire.layout("/"), wire.ticks([number + 1], (0.5,)))
                await web.acked(number + 1)

    assert 590_000 < told.old_until_unix_ms - wire.now_ms() <= 600_000


@pytest.mark.parametrize(
    "step", ["before asking", "answer lost", "answer read, not kept"]
)
async def test_a_rotation_that_is_interrupted_locks_nobody_out(
    trust: Trust, step: str
) -> None:
    old, _ = await enrolled("web-1")
    # What is on the agent's disk: `next` is kept before the hub is asked.
    disk = {"secret": old, "next": agents_secret()}

    async with serving() as (_, port):
        if step != "before asking":
            await rotate(port, trust, disk["secret"], disk["next"])
        # It starts again, and does the whole thing again.
        for secret in (disk["secret"], disk["next"]):
            with suppress(grpc.aio.AioRpcError):
                await rotate(port, trust, secret, disk["next"])
        async with agent(port, trust, disk["next"]) as web:
            await first_sample(web)

    assert await stored() == {"web-1": 1}


async def test_what_a_rotation_may_not_do(settings: Settings, trust: Trust) -> None:
    old, _ = await enrolled("web-1")
    new = agents_secret()

    async with serving() as (_, port):
        await rotate(port, trust, old, new)
        by_old = await said(rotate(port, trust, old, agents_secret()))
        garbage = await said(rotate(port, trust, new, "sma_x"))
        shared = await said(rotate(port, trust, settings.AGENT_TOKEN, agents_secret()))
        nobody = await said(rotate(port, trust, "", agents_secret()))

    assert by_old[0] == garbage[0] == shared[0] == Code.FAILED_PRECONDITION
    assert nobody == (Code.UNAUTHENTICATED, DENIED)


async def test_rotations_are_few(trust: Trust) -> None:
    secret, _ = await enrolled("web-1")

    async with serving() as (_, port):
        for _ in range(10):
            new = agents_secret()
            await rotate(port, trust, secret, new)
            secret = new
        code, _ = await said(rotate(port, trust, secret, agents_secret()))

    assert code == Code.RESOURCE_EXHAUSTED


async def test_asking_whether_a_secret_is_good_uses_up_nothing(trust: Trust) -> None:
    secret, _ = await enrolled("web-1")

    async with serving() as (_, port):
        for _ in range(11):
            code, _ = await said(rotate(port, trust, secret, ""))
            assert code == Code.FAILED_PRECONDITION
        await rotate(port, trust, secret, agents_secret())


async def test_a_clone_is_cut_and_the_first_goes_on(trust: Trust) -> None:
    secret, pk = await enrolled("web-1")
    epochs = {"first": b"a" * 16, "clone": b"b" * 16}

    async def comes(who: str) -> Code:
        hello = wire.hello("web-1", epochs[who])
        return (await first_word(lambda: agent(port, trust, secret), hello))[0]

    async with serving() as (_, port):
        turns = ["first", "clone", "first", "clone", "first", "clone"]
        said_ = [await comes(who) for who in turns]
    flagged = await sync_to_async(credentials.newest)(pk)

    cut = Code.PERMISSION_DENIED
    assert said_ == [Code.OK, Code.OK, Code.OK, cut, Code.OK, cut]
    assert flagged is not None
    assert flagged.is_cloned


async def test_plain_text_reaches_no_door_that_speaks_tls(settings: Settings) -> None:
    shared = bearer(settings.AGENT_TOKEN)

    async with serving() as (_, port), plain_agent(port, shared) as web:
        code, _ = await web.end()

    assert code == Code.UNAVAILABLE
    assert await Machine.objects.acount() == 0


async def test_nothing_about_an_agent_is_told_to_a_stranger(trust: Trust) -> None:
    secret, _ = await enrolled("web-1")
    digest = (await Credential.objects.aget()).digest
    throttle.forget()

    async with serving() as (_, port):
        answers = set()
        for wrong in (secret + " ", digest, secret.upper(), agents_secret(), "x"):
            async with agent(port, trust, wrong) as web:
                answers.add(await web.end())

    assert answers == {(Code.UNAUTHENTICATED, DENIED)}
