"""Every way into the hub says who may use it, and keeps to it.

The lists are made from the address table, the API's operations, the wire's descriptors
and the sockets: what is added without a declaration fails here.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Any
from urllib.parse import urlencode

import pytest
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth.models import Group, User
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from sysmonstm_proto import metrics_pb2

from hub.alerts.models import Alert, Rule
from hub.live.consumer import LiveConsumer
from hub.live.frames import BadMessage, read_ack
from hub.live.routing import websocket_urlpatterns
from hub.machines.models import Machine, Tag
from hub.people import policy, tokens
from hub.people.policy import Policy
from hub.people.roles import Role
from hub.rpc.authenticate import POLICIES
from hub.tests.ways import (
    HIDDEN,
    OPERATIONS,
    PAGES,
    ROUTES,
    World,
    address,
    ask,
    build,
)

# Once is enough: which database it is decides nothing here.
pytestmark = [pytest.mark.django_db, pytest.mark.embedded_only]

# What is another one in each answer.
CSRF = re.compile(r"[A-Za-z0-9]{64}")
NONCE = re.compile(r'nonce="[^"]*"|nonce-[^\s\']+')
CLOCK = re.compile(r"\d+(\.\d+)?")

# Open to everybody, each for a reason that its own tests hold.
OPEN = {
    "health",
    "ready",
    # They ask for a token or a session by themselves.
    "metrics",
    "metrics/machines",
    # Bars within pages: empty, or a reload, for whoever is not signed in.
    "hub/bar",
    "hub/now",
    "sign-in/",
    "sign-in/code",
    "sign-in/set-up",
    "sign-in/link/<str:secret>",
    "sign-in/provider/",
    "sign-in/provider/callback",
    "sign-out/",
}
# What a machine fetches before anybody can know it; nothing of it is secret.
OPEN_FOLDERS = ("install/",)


@pytest.fixture
def world() -> World:
    return build()


# -- every way is declared


def test_every_address_says_who_may_use_it() -> None:
    assert [route.path for route in ROUTES if route.policy is None] == []
    assert len(ROUTES) > 60, "the walk found too little to mean anything"


def test_what_is_open_to_everybody_is_known_here() -> None:
    found = {route.path for route in PAGES if route.policy is Policy.ANYBODY}

    assert {path for path in found if not path.startswith(OPEN_FOLDERS)} == OPEN


def test_every_operation_of_the_api_says_who_may_use_it() -> None:
    said = {
        name: policy.declared(operation.view_func) for name, operation in OPERATIONS
    }

    assert [name for name, one in said.items() if one is None or not one.role] == []
    assert len(said) > 10


def test_whatever_changes_something_by_the_api_is_for_operators_at_least() -> None:
    for name, operation in OPERATIONS:
        if set(operation.methods) - {"GET", "HEAD"}:
            said = policy.declared(operation.view_func)
            assert said in (Policy.OPERATOR, Policy.ADMINISTRATOR), name


def test_every_method_of_the_wire_says_who_may_call_it() -> None:
    services = metrics_pb2.DESCRIPTOR.services_by_name.values()
    methods = {
        f"/{service.full_name}/{method.name}"
        for service in services
        for method in service.methods
    }

    assert methods - POLICIES.keys() == set()
    assert len(methods) >= 6


def test_every_socket_is_the_one_that_asks_who_it_is() -> None:
    consumers = [
        getattr(pattern.callback, "consumer_class", None)
        for pattern in websocket_urlpatterns
    ]

    assert consumers == [LiveConsumer]


def test_a_socket_takes_no_message_of_another_kind() -> None:
    """Channels calls whatever method is named like a message's type."""
    said = {name for name in dir(LiveConsumer) if not name.startswith("_")}

    assert said - set(dir(AsyncWebsocketConsumer)) == {"watcher", "sending"}


@pytest.mark.parametrize(
    "said",
    ["subscribe", "host.hidden", "*", "group_send", "live.message", "join", "ACK"],
)
def test_a_socket_hears_nothing_but_acknowledgements(said: str) -> None:
    with pytest.raises(BadMessage):
        read_ack(f'{{"type": "{said}", "n": 1, "machine": "hidden"}}')
    assert read_ack('{"type": "ack", "n": 1}') == 1


# -- and keeps to it


# They ask for something beside the role: what the page before was given.
ASK_MORE = {"processes-now/<path:machine_id>"}


def test_a_page_lets_in_whom_it_says(world: World) -> None:
    """Nobody gets in below the role; what happens then is another test's."""
    clients = {role: world.client(role.value) for role in Role}
    stranger = world.client("stranger")
    guarded = [route for route in PAGES if route.policy is not Policy.ANYBODY]
    for route, method in product(guarded, ("GET", "POST")):
        path, said = address(route, world), route.policy
        assert said is not None
        assert said.role is not None
        answer = ask(stranger, method, path)
        assert answer.status_code == 302, route.path
        assert answer["Location"].startswith("/sign-in/?next="), route.path
        for role in Role:
            status = ask(clients[role], method, path).status_code
            if not role.includes(said.role):
                assert status == 403, (route.path, role, method)
            elif route.path not in ASK_MORE:
                assert status != 403, (route.path, role, method)
    assert len(guarded) > 20


def test_the_admin_lets_in_administrators_and_staff_that_sees_everything(
    world: World,
) -> None:
    world.people["staff"] = User.objects.create_user("staff", is_staff=True)
    may = {
        who: ask(world.client(who), "GET", "/admin/").status_code == 200
        for who in ("stranger", *world.people)
    }

    assert [who for who in may if may[who]] == ["root", "administrator", "staff"]


def test_nobody_else_gets_anywhere_in_the_admin(world: World) -> None:
    clients = [world.client(who) for who in ("stranger", "operator", "limited")]
    routes = [route for route in ROUTES if route.is_admin]
    for route, client, method in product(routes, clients, ("GET", "POST")):
        status = ask(client, method, address(route, world)).status_code
        assert status in (302, 403, 404, 405), (route.path, method)
    assert len(routes) > 50


def test_what_one_may_not_see_is_not_there(world: World) -> None:
    client = world.client("limited")
    kinds = ("machine_id", "alerts/<int", "alert_id")
    routes = [
        route
        for route in ROUTES
        if not route.is_admin and any(kind in route.path for kind in kinds)
    ]
    for route, method in product(routes, ("GET", "POST", "PATCH", "DELETE")):
        status = ask(client, method, address(route, world)).status_code
        # 422: the question itself is judged first.
        assert status in (403, 404, 405, 422), (route.path, method, status)
        assert status != 422 or route.is_api, (route.path, method)
    assert len(routes) > 15
    world.alert.refresh_from_db()
    assert world.alert.acknowledged_at is None
    assert Machine.objects.get() == world.machine


def test_nothing_that_a_limited_person_may_read_names_a_hidden_machine(
    world: World,
) -> None:
    client, read = world.client("limited"), 0
    for route in ROUTES:
        if route.is_admin or "<" in route.path:
            continue
        answer = ask(client, "GET", address(route, world))
        if answer.status_code == 200 and not answer.streaming:
            read += 1
            assert HIDDEN.encode() not in answer.content, route.path
    assert read > 10


# A name that no machine has, as long as the hidden one's.
ABSENT = "absent-7"
PARAMETERS = ("machine", "machine_id", "machines", "q", "id", "tag", "name", "series")


def _answer(client: Client, method: str, path: str, name: str) -> tuple[object, ...]:
    """Return all that somebody is told, without what differs each time."""
    answer = ask(client, method, path.replace(HIDDEN, name))
    body = b"" if answer.streaming else answer.content
    text = body.decode(errors="replace").replace(name, "")
    for changing in (CSRF, NONCE, CLOCK):
        text = changing.sub("", text)
    headers = {key: answer.headers.get(key) for key in ("Content-Type", "Location")}
    said = {key: (one or "").replace(name, "") for key, one in headers.items()}
    return answer.status_code, said, text


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_a_machine_that_one_may_not_see_is_as_one_that_is_not_there(
    world: World, role: Role
) -> None:
    """By its address, and by whatever may be asked for in an address."""
    person = world.people["limited"]
    person.is_staff = False
    person.save()
    person.groups.add(Group.objects.get(name=role))
    client, compared = world.client("limited"), 0
    for route in ROUTES:
        if route.is_admin:
            continue
        path = address(route, world)
        asked = [("GET", path), ("POST", path)] if HIDDEN in path else []
        if "<" not in route.path:
            query = urlencode(dict.fromkeys(PARAMETERS, HIDDEN))
            asked.append(("GET", f"{path}?{query}"))
        for method, one in asked:
            compared += 1
            hidden, absent = (
                _answer(client, method, one, name) for name in (HIDDEN, ABSENT)
            )
            assert hidden == absent, (method, one)
    assert compared > 60


def test_an_operation_lets_in_whom_it_says(world: World) -> None:
    secrets = {
        (role, scope): tokens.create(
            f"{role} {scope}", world.people[role.value], scope=scope
        )
        for role, scope in product(Role, ("read", "operate"))
    }
    for name, operation in OPERATIONS:
        method, path = operation.methods[0], _api_address(name, world)
        said = policy.declared(operation.view_func)
        assert said is not None
        assert said.role is not None
        assert ask(world.client("stranger"), method, path).status_code == 401
        for (role, scope), secret in secrets.items():
            answer = Client().generic(
                method,
                path,
                data=b"{}",
                content_type="application/json",
                headers={"Authorization": f"Bearer {secret}"},
            )
            enough = role.includes(said.role) and (
                scope == "operate" or said.role is Role.VIEWER
            )
            # 422: what is said is judged first; nothing has happened then.
            assert enough or answer.status_code in (403, 422), (name, role, scope)
            assert not enough or answer.status_code != 403, (name, role, scope)


def _api_address(name: str, world: World) -> str:
    path = name.partition(" ")[2]
    for field, value in {
        "{int:alert_id}": world.alert.pk,
        "{int:rule_id}": world.rule.pk,
        "{machine_id}": world.machine.machine_id,
    }.items():
        path = path.replace(field, str(value))
    return f"/api{path}"


# -- nothing is changed by looking, and nothing without the page's own form


# What a browser is told on each page, the admin's as well.
FORBIDDEN = {
    "frames": "DENY",
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "form-action": "'self'",
}

# A session is renewed as it is used, a token says when, that somebody looked at
# processes is written down, and an agent's settings are put together when first wanted.
KEPT_BY_READING = (
    "django_session",
    "people_apitoken",
    "people_auditentry",
    "control_standing",
)


def test_looking_changes_nothing_and_each_page_forbids_what_it_does_not_need(
    world: World,
) -> None:
    client = world.client("root")
    written: list[tuple[str, str]] = []
    path, pages = "", 0

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        verb, _, rest = sql.lstrip().partition(" ")
        if verb.upper() in ("INSERT", "UPDATE", "DELETE") and not any(
            table in rest for table in KEPT_BY_READING
        ):
            written.append((path, sql))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        for route in ROUTES:
            path = address(route, world)
            for method in ("GET",) if route.is_admin else ("GET", "HEAD"):
                answer = ask(client, method, path)
                assert answer.status_code < 500, path
                assert answer["X-Content-Type-Options"] == "nosniff", path
                if answer["Content-Type"].startswith("text/html"):
                    pages += 1
                    assert _forbidden(answer) == FORBIDDEN, path
    assert pages > 100
    # The way out is no link either.
    assert ask(client, "GET", "/alerts/open.json").status_code == 200
    assert written == []


def _forbidden(answer: HttpResponse) -> dict[str, str]:
    """Return the directives, with nothing in them that differs each time."""
    policy = re.sub(r" 'nonce-[\w-]{20,}'", "", answer["Content-Security-Policy"])
    words = (one.strip().partition(" ") for one in policy.split(";") if one.strip())
    return {"frames": answer["X-Frame-Options"]} | {
        name: value for name, _, value in words
    }


def test_a_form_of_another_site_changes_nothing(world: World) -> None:
    client = world.client("root", enforce_csrf_checks=True)
    before = _counts()
    for route in ROUTES:
        status = ask(client, "POST", address(route, world)).status_code
        assert status in (302, 401, 403, 404, 405), (route.path, status)
        # A redirect only tells where the right address is.
        assert status != 302 or route.is_admin, route.path
    assert _counts() == before


def test_nobody_is_signed_in_by_a_form_of_another_site(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    told = {"username": "root", "password": "x"}

    assert client.post("/sign-in/", told).status_code == 403


def _counts() -> list[int]:
    return [model.objects.count() for model in (Machine, Alert, Rule, User, Tag)]
