from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from hub.people.session_store import SessionStore

pytestmark = pytest.mark.django_db


def begun(**said: object) -> SessionStore:
    session = SessionStore()
    session.update(said)
    session.save()
    return session


def test_a_key_finds_its_session_and_is_not_kept() -> None:
    key = begun(who="ada").session_key

    assert key
    assert SessionStore(key)["who"] == "ada"
    assert SessionStore().exists(key)
    assert Session.objects.get().pk != key


def test_what_is_kept_is_no_key() -> None:
    begun(who="ada")
    row = Session.objects.get()

    found = SessionStore(row.session_key)

    assert found.load() == {}
    assert found.session_key is None
    assert not SessionStore().exists(row.session_key)


def test_a_new_key_keeps_what_is_in_it_and_ends_the_old_one() -> None:
    session = begun(who="ada")
    old = session.session_key

    session.cycle_key()

    assert SessionStore(session.session_key)["who"] == "ada"
    assert SessionStore(old).load() == {}
    assert Session.objects.count() == 1


def test_an_ended_session_is_gone() -> None:
    session = begun(who="ada")

    session.flush()

    assert not Session.objects.exists()


async def test_the_same_holds_for_asynchronous_pages() -> None:
    session = SessionStore()
    await session.aset("who", "ada")
    await session.asave()
    key = session.session_key

    assert key
    assert await SessionStore(key).aget("who") == "ada"
    assert await SessionStore().aexists(key)
    await SessionStore(key).adelete(key)
    assert not await SessionStore().aexists(key)
    assert await sync_to_async(Session.objects.count)() == 0


def test_only_the_request_that_ends_a_session_takes_its_cookie(
    client: Client, django_user_model: type[User]
) -> None:
    ada = django_user_model.objects.create_user("ada", password="correct horse")
    client.force_login(ada)
    cookie = settings.SESSION_COOKIE_NAME
    old = client.cookies[cookie].value
    Session.objects.all().delete()

    late = client.get(reverse("web:hub_bar"))
    assert late.status_code in (204, 302)
    assert cookie not in late.cookies
    assert client.cookies[cookie].value == old

    client.force_login(ada)
    assert client.post(reverse("web:sign_out")).cookies[cookie]["max-age"] == 0
