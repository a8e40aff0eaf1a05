"""Chats, phones and pagers through Apprise, in the courier's own process only.

Apprise is never loaded by the hub itself: its plugins open connections of their own,
which only a whole process can be kept from.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import apprise
import requests

from hub.alerts.guard import Policy, Refused, look_up
from hub.alerts.parcel import Outcome, Parcel, Result
from hub.alerts.webhook import MAX_ANSWER_BYTES, Failed

SERVICE_TIMEOUT_S = 15.0

# They speak to the screen or the log of the machine that the hub runs on, where
# nobody is woken, or load code of the user's own.
LOCAL = frozenset(
    (
        "blink1",
        "dbus",
        "file",
        "glib",
        "gnome",
        "kde",
        "macosx",
        "qt",
        "syslog",
        "windows",
    )
)

_STATUS = re.compile(r"error[= ]+(\d{3})\b")


def check(parcel: Parcel, policy: Policy) -> Outcome:
    """Say whether the address is one of Apprise's, and may be reached."""
    plugin = _plugin(parcel.address)
    for host in _hosts(parcel.address, plugin):
        _refuse_known(host, policy)
    return Outcome(Result.SENT, f"{plugin.service_name} is known.")


def send(parcel: Parcel, refusals: list[str]) -> Outcome:
    """Send in the form that the service shows best. Raises Refused, Failed."""
    bound_answers()
    plugin = _plugin(parcel.address)
    form = plugin.resolve_format(None)
    body = {"html": parcel.brief_html, "markdown": parcel.markdown}.get(
        form.value, parcel.text
    )
    box = apprise.Apprise(asset=plugin.asset)
    box.add(plugin)
    result = box.notify(title=parcel.title, body=body, body_format=form)
    name = str(plugin.service_name)
    if result:
        return Outcome(Result.SENT, f"{name} took the message.")
    if refusals:
        raise Refused(refusals[-1])
    said = [entry.message for entry in result.logs() if entry.level != "DEBUG"]
    why = said[-1] if said else "it gave no reason"
    status = _STATUS.search(why)
    raise Failed(f"{name}: {why[:300]}", int(status[1]) if status else None)


def bound_answers() -> None:
    """Read no more than an answer needs, whatever a service sends."""
    whole = requests.models.Response.iter_content

    def bounded(
        self: requests.Response,
        chunk_size: int | None = 1,
        decode_unicode: bool = False,
    ) -> Iterator[Any]:
        left = MAX_ANSWER_BYTES
        size = min(chunk_size or left, 8192)
        for chunk in whole(self, size, decode_unicode):
            yield chunk
            left -= len(chunk)
            if left <= 0:
                return

    requests.models.Response.iter_content = bounded  # type: ignore[method-assign]


def _plugin(url: str) -> Any:
    scheme = url.partition("://")[0].lower()
    if scheme in LOCAL:
        raise Refused(f"{scheme}:// speaks to the hub's own machine, not to a person.")
    asset = apprise.AppriseAsset(
        app_id="sysmonstm",
        app_desc="sysmonstm",
        app_url="",
        async_mode=False,
        http_redirects=False,
        storage_mode="memory",
        service_timeout=SERVICE_TIMEOUT_S,
        allow_templates=False,
    )
    plugin = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if plugin is None:
        raise Refused(
            "This is not an address that Apprise knows, or a part of it is missing: "
            "see https://appriseit.com/services/."
        )
    # ?redirect=yes in the address would win over the asset.
    plugin.redirects = False
    return plugin


def _hosts(url: str, plugin: Any) -> set[str]:
    """Return the host names in an address; never a token: names go to DNS."""
    found = set()
    if any("{host}" in template for template in plugin.templates):
        found |= {getattr(plugin, "host", None), urlsplit(url).hostname}
    found.add(getattr(plugin, "smtp_host", None))
    for _, value in parse_qsl(urlsplit(url).query):
        if "://" in value:
            found.add(urlsplit(value).hostname)
    return {host for host in found if isinstance(host, str) and host}


def _refuse_known(host: str, policy: Policy) -> None:
    try:
        addresses = look_up(host, 443)
    except (OSError, UnicodeError):
        # Perhaps not a name at all: `ntfy://topic`. Sending judges by address.
        return
    for text in addresses:
        if why := policy.refusal(ipaddress.ip_address(text.partition("%")[0])):
            said = "" if text == host else f"{host} leads to "
            raise Refused(f"Not allowed: {said}{why}.")
