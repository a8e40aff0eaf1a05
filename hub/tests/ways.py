"""Every way into the hub, and a small world to try them in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from ninja.operation import Operation

from hub.alerts.models import Alert, Rule
from hub.api.api import api
from hub.machines.models import Machine, Sight, Tag
from hub.people import policy
from hub.people.policy import Policy
from hub.people.roles import Role

HIDDEN = "unseen-7"


@dataclass(frozen=True)
class Route:
    path: str
    pattern: URLPattern
    is_admin: bool

    @property
    def policy(self) -> Policy | None:
        if self.is_admin:
            return Policy.ADMIN_SITE
        return policy.declared(self.pattern.callback)

    @property
    def is_api(self) -> bool:
        return self.path.startswith("api/")


def walk(
    resolver: URLResolver, before: str = "", is_admin: bool = False
) -> Iterator[Route]:
    for entry in resolver.url_patterns:
        path = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from walk(entry, path, is_admin or entry.app_name == "admin")
        else:
            yield Route(path, entry, is_admin)


ROUTES = list(walk(get_resolver()))
PAGES = [route for route in ROUTES if not route.is_api and not route.is_admin]
OPERATIONS: list[tuple[str, Operation]] = [
    (f"{'/'.join(operation.methods)} {path}", operation)
    for _, router in api._routers
    for path, view in router.path_operations.items()
    for operation in view.operations
]


@dataclass
class World:
    """What is there, and hidden from the limited person."""

    machine: Machine
    alert: Alert
    rule: Rule
    people: dict[str, User]

    def client(self, who: str, **more: Any) -> Client:
        client = Client(**more)
        if who != "stranger":
            client.force_login(self.people[who])
        return client


def address(route: Route, world: World) -> str:
    """Return the route's address, about what the limited person does not see."""
    values: dict[str, object] = {
        "machine_id": world.machine.machine_id,
        "alert_id": world.alert.pk,
        "rule_id": world.rule.pk,
        "object_id": 1,
        "pk": world.alert.pk,
        "app_label": "alerts",
        "content_type_id": 1,
        "provider_id": "oidc",
        "secret": "unknown",
        "url": "nothing",
    }
    path = route.path
    for name, converter in route.pattern.pattern.converters.items():
        values.setdefault(name, 1 if "Int" in type(converter).__name__ else "x")
    for whole, name in _names(path):
        path = path.replace(whole, str(values.get(name, "x")))
    return "/" + path.replace("^", "").replace("$", "").replace("\\Z", "")


def _names(path: str) -> list[tuple[str, str]]:
    found = []
    while "<" in path:
        start, end = path.index("<"), path.index(">")
        whole = path[start : end + 1]
        found.append((whole, whole[1:-1].rpartition(":")[2]))
        path = path[end + 1 :]
    return found


def ask(client: Client, method: str, path: str) -> HttpResponse:
    client.raise_request_exception = False
    return client.generic(method, path)  # type: ignore[return-value]


def build() -> World:
    """Make it; within a test's transaction."""
    machine = Machine.objects.create(machine_id=HIDDEN)
    rule = Rule.objects.create(name="Disk", metric="system.filesystem.utilization")
    rule.machines.add(machine)
    alert = Alert.objects.create(
        rule=rule,
        snapshot={"name": "Disk"},
        machine=machine,
        machine_title=HIDDEN,
        series_key="x",
        state="firing",
        severity="warning",
        peak_severity="warning",
        opened_at=timezone.now(),
        changed_at=timezone.now(),
    )
    people = {"root": User.objects.create_superuser("root")}
    for role in Role:
        people[role.value] = User.objects.create_user(role.value)
        group, _ = Group.objects.get_or_create(name=role.value)
        people[role.value].groups.add(group)
    # An operator, so that only the machine is in the way.
    people["limited"] = User.objects.create_user("limited", is_staff=True)
    limit = Sight.objects.create(user=people["limited"])
    limit.tags.add(Tag.objects.create(name="elsewhere"))
    return World(machine, alert, rule, people)
