"""Who may open a line, and when it ends."""

from __future__ import annotations

from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from hub.live.feed import Feed
from hub.live.feeds import set_feed
from hub.live.frames import Close
from hub.live.permits import Credential, Session, Token, permits
from hub.live.tests.line import ORIGIN, is_refused, line, publish, sample
from hub.machines.models import Machine, Sight, Tag
from hub.people import sessions, tokens
from hub.people.models import ApiToken
from hub.storage.layouts import LayoutInfo

pytestmark = pytest.mark.django_db


@pytest.fixture
def secret(user: User) -> str:
    return tokens.create("wall", user)


def bearer(secret: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {secret}")


async def test_a_stranger_is_refused(web_1: Machine) -> None:
    assert await is_refused(None)


async def test_an_invented_session_is_refused(web_1: Machine) -> None:
    client = Client()
    client.cookies["sysmonstm_session"] = "a" * 32

    assert await is_refused(client)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://localhost", "http://localhost:1"]
)
async def test_another_site_s_page_is_refused(
    client: Client, web_1: Machine, origin: str
) -> None:
    assert await is_refused(client, headers=(("Origin", origin),))


async def test_a_cookie_without_an_origin_is_refused(
    client: Client, web_1: Machine
) -> None:
    assert await is_refused(client, headers=())


async def test_a_program_with_a_token_needs_no_origin(
    secret: str, web_1: Machine
) -> None:
    async with line(headers=(bearer(secret),)) as program:
        told = await program.frame()

    assert [machine["id"] for machine in told["machines"]] == ["web-1"]


@pytest.mark.parametrize("said", ["Bearer smt_wrong", "Bearer ", "Basic YTpi", "x"])
async def test_a_wrong_token_is_refused_even_beside_a_good_cookie(
    client: Client, web_1: Machine, said: str
) -> None:
    assert await is_refused(client, headers=(ORIGIN, ("Authorization", said)))


async def test_a_token_does_not_excuse_another_site(
    secret: str, web_1: Machine
) -> None:
    evil = ("Origin", "http://evil.example")

    assert await is_refused(headers=(bearer(secret), evil))


async def test_signing_out_ends_the_line(
    client: Client, web_1: Machine, layout: LayoutInfo, now_ms: int
) -> None:
    set_feed(Feed(check_s=0.1))
    async with line(client) as browser:
        await browser.frame()

        await database_sync_to_async(client.logout)()

        assert await browser.ended() is Close.SIGNED_OUT
        await publish(sample(web_1, layout, now_ms, 0.5, 61.0))
        assert await browser.is_silent()


async def test_another_password_ends_the_line(
    client: Client, user: User, web_1: Machine
) -> None:
    set_feed(Feed(check_s=0.1))
    async with line(client) as browser:
        await browser.frame()

        user.set_password("another long password")
        await database_sync_to_async(user.save)()

        assert await browser.ended() is Close.SIGNED_OUT


async def test_a_user_who_is_no_longer_active_is_out(
    client: Client, secret: str, user: User, web_1: Machine
) -> None:
    set_feed(Feed(check_s=0.1))
    async with line(client) as browser, line(headers=(bearer(secret),)) as program:
        await browser.frame()
        await program.frame()

        user.is_active = False
        await database_sync_to_async(user.save)()

        assert await browser.ended() is Close.SIGNED_OUT
        assert await program.ended() is Close.SIGNED_OUT


async def test_a_revoked_token_ends_its_line_and_no_other(
    client: Client, secret: str, web_1: Machine
) -> None:
    set_feed(Feed(check_s=0.1))
    async with line(client) as browser, line(headers=(bearer(secret),)) as program:
        await browser.frame()
        await program.frame()

        await database_sync_to_async(ApiToken.objects.all().delete)()

        assert await program.ended() is Close.SIGNED_OUT
        assert await browser.is_silent()


async def test_a_token_that_ends_ends_its_line(secret: str, web_1: Machine) -> None:
    set_feed(Feed(check_s=0.1))
    async with line(headers=(bearer(secret),)) as program:
        await program.frame()

        ended = timezone.now() - timedelta(seconds=1)
        await database_sync_to_async(ApiToken.objects.update)(expires_at=ended)

        assert await program.ended() is Close.SIGNED_OUT


async def test_sign_out_everywhere_ends_the_other_lines_only(
    client: Client, user: User, web_1: Machine
) -> None:
    set_feed(Feed(check_s=0.1))
    other = Client()
    await database_sync_to_async(other.force_login)(user)
    async with line(client) as here, line(other) as there:
        await here.frame()
        await there.frame()

        key = client.session.session_key
        await database_sync_to_async(sessions.end)(user, but=key)

        assert await there.ended() is Close.SIGNED_OUT
        assert await here.is_silent()


@pytest.mark.parametrize("by", ["a limit", "a group", "a tag"])
async def test_what_one_may_not_see_any_more_is_gone_and_stays_silent(
    client: Client,
    user: User,
    web_1: Machine,
    new_1: Machine,
    layout: LayoutInfo,
    now_ms: int,
    by: str,
) -> None:
    """Each way to lose sight: a limit is made, joined, or its tag taken off."""

    def limit(*, until: bool) -> None:
        group, _ = Group.objects.get_or_create(name="shop people")
        tag, _ = Tag.objects.get_or_create(name="shop")
        if by == "a limit" and until:
            Sight.objects.create(user=user).tags.add(tag)
        elif by == "a group" and until:
            user.groups.add(group)
        elif by == "a group":
            Sight.objects.create(group=group).tags.add(tag)
        elif by == "a tag" and not until:
            Sight.objects.create(user=user).tags.add(tag)
            web_1.tags.add(tag)
        elif by == "a tag":
            web_1.tags.clear()
        new_1.tags.add(tag)

    await database_sync_to_async(limit)(until=False)
    set_feed(Feed(check_s=0.1))
    async with line(client) as browser, line(client, machine="web-1") as page:
        assert "web-1" in {one["id"] for one in (await browser.frame())["machines"]}
        await page.frame()

        await database_sync_to_async(limit)(until=True)

        for socket in (browser, page):
            # News of before may still come first.
            while "gone" not in (told := await socket.frame()):
                pass
            assert told["gone"] == ["web-1"]
            assert told["machines"] == []
        await publish(sample(web_1, layout, now_ms, 0.5, 61.0))
        assert await browser.is_silent()
        assert await page.is_silent()


def test_many_sockets_of_one_user_are_looked_up_together(
    user: User, secret: str, web_1: Machine
) -> None:
    clients = [Client(), Client()]
    for client in clients:
        client.force_login(user)
    keys = [Session(client.session.session_key or "") for client in clients]
    asked: list[Credential] = [
        *keys,
        Token(secret),
        Token("smt_wrong"),
        Session("unknown"),
    ]

    found = permits(asked)

    first, second, token, wrong, unknown = (found[one] for one in asked)
    assert first is not None
    assert first.machines == {web_1.pk}
    assert first is second is token
    assert (wrong, unknown) == (None, None)


def test_secrets_do_not_show_in_logs() -> None:
    assert "abc" not in repr(Session("abc")) + repr(Token("abc"))


def test_asking_leaves_the_session_alone(client: Client, user: User) -> None:
    key = client.session.session_key or ""
    user.set_password("another long password")
    user.save()

    assert permits([Session(key)]) == {Session(key): None}
    assert client.session.session_key == key
    assert client.session.exists(key)


async def test_no_secret_in_the_address_opens_a_line(
    client: Client, secret: str, web_1: Machine
) -> None:
    """Addresses end up in logs; there are no tickets for sockets either."""
    key = client.cookies["sysmonstm_session"].value

    for said in (secret, f"Bearer {secret}"):
        assert await is_refused(None, token=said, access_token=said, ticket=said)
        assert await is_refused(None, key=said, Authorization=said)
    assert await is_refused(None, sysmonstm_session=key, sessionid=key)
