"""What an administrator chooses before a machine is let in, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.http import QueryDict

from hub.machines.models import Tag

LIFETIMES: Mapping[str, tuple[str, timedelta]] = {
    "15m": ("15 minutes", timedelta(minutes=15)),
    "1h": ("1 hour", timedelta(hours=1)),
    "1d": ("1 day", timedelta(days=1)),
    "7d": ("7 days", timedelta(days=7)),
}
DEFAULT_LIFETIME = "1h"
MAX_USES = 1000
MAX_TAGS = 20


class Senseless(Exception):
    """One sentence for the person who filled the form in."""


@dataclass(frozen=True, slots=True)
class Invitation:
    tags: Sequence[str]
    lifetime: str
    uses: int

    @property
    def length(self) -> timedelta:
        return LIFETIMES[self.lifetime][1]


def shown(query: QueryDict) -> Invitation:
    """Return what the form starts with; an address may have chosen already."""
    lifetime, uses = query.get("lifetime", ""), query.get("uses", "")
    return Invitation(
        tags=query.getlist("tag")[:MAX_TAGS],
        lifetime=lifetime if lifetime in LIFETIMES else DEFAULT_LIFETIME,
        uses=int(uses) if re.fullmatch(r"[0-9]{1,4}", uses) else 1,
    )


def chosen(form: QueryDict) -> Invitation:
    """Return what was chosen. Raises Senseless."""
    lifetime, uses = form.get("lifetime", DEFAULT_LIFETIME), form.get("uses", "1")
    if lifetime not in LIFETIMES:
        raise Senseless("Choose how long the command is good for.")
    if not re.fullmatch(r"[0-9]{1,4}", uses) or not 1 <= int(uses) <= MAX_USES:
        raise Senseless(f"It may let in from 1 to {MAX_USES:,} machines.")
    named = re.split(r"[\s,]+", form.get("new_tags", "").strip())
    tags = list(dict.fromkeys(filter(None, [*form.getlist("tag"), *named])))
    if len(tags) > MAX_TAGS:
        raise Senseless(f"A machine gets at most {MAX_TAGS} tags here.")
    for name in tags:
        _check(name)
    return Invitation(tags, lifetime, int(uses))


def tags(invitation: Invitation) -> list[Tag]:
    """Return the tags; those that are new are made."""
    return [Tag.objects.get_or_create(name=name)[0] for name in invitation.tags]


def _check(name: str) -> None:
    try:
        Tag(name=name).clean_fields(exclude=["id"])
    except ValidationError as refused:
        raise Senseless(f"{name[:80]!r}: {refused.messages[0]}") from None
