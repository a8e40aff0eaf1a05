"""Rules for programs: read by everybody, changed by operators."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.core.exceptions import ValidationError
from django.db import transaction
from ninja import Router, Status
from ninja.errors import HttpError

from hub.alerts import changed, matchers, validation
from hub.alerts.matchers import BadMatcher
from hub.alerts.models import Rule
from hub.api import alert_schemas as schemas
from hub.api.auth import ApiRequest
from hub.api.schemas import Error
from hub.machines.models import Tag
from hub.machines.registry import visible_to
from hub.people.policy import operator, viewer

REFUSALS = frozenset({401, 500, 503})
OF_ONE = REFUSALS | {404}
WRITES = OF_ONE | {400, 403, 422}

router = Router(tags=["rules"])


@router.get(
    "/rules", response={200: schemas.Rules, REFUSALS: Error}, summary="All rules"
)
@viewer
def list_rules(request: ApiRequest) -> dict[str, Any]:
    """Those that are switched off, too."""
    rules = Rule.objects.prefetch_related("tags", "machines").order_by("name")
    seen = _seen(request)
    return {"rules": [_told(rule, seen) for rule in rules]}


@router.get(
    "/rules/{int:rule_id}",
    response={200: schemas.Rule, OF_ONE: Error},
    summary="One rule",
)
@viewer
def get_rule(request: ApiRequest, rule_id: int) -> dict[str, Any]:
    """As it is now."""
    return _told(_find(rule_id), _seen(request))


@router.post(
    "/rules", response={201: schemas.Rule, WRITES: Error}, summary="Make a rule"
)
@operator
def make_rule(request: ApiRequest, said: schemas.NewRule) -> Status[dict[str, Any]]:
    """It is live at once, unless `enabled` is false. Needs the scope operate."""
    rule = _save(request, Rule(), said, ADDITION)
    return Status(201, _told(rule, _seen(request)))


@router.patch(
    "/rules/{int:rule_id}",
    response={200: schemas.Rule, WRITES: Error},
    summary="Change a rule",
)
@operator
def change_rule(
    request: ApiRequest, rule_id: int, said: schemas.RuleChange
) -> dict[str, Any]:
    """What is absent stays as it is. Needs the scope operate."""
    rule = _save(request, _find(rule_id), said, CHANGE)
    return _told(rule, _seen(request))


@router.delete(
    "/rules/{int:rule_id}",
    response={204: None, WRITES: Error},
    summary="Delete a rule",
)
@operator
def delete_rule(request: ApiRequest, rule_id: int) -> Status[None]:
    """Its open alerts end; its history stays. Needs the scope operate."""
    rule = _find(rule_id)
    with transaction.atomic():
        _log(request, rule, DELETION, "")
        rule.delete()
        changed.rules()
    return Status(204, None)


def _find(rule_id: int) -> Rule:
    found = Rule.objects.filter(pk=rule_id).first() if rule_id < 2**63 else None
    if found is None:
        raise HttpError(404, f"There is no rule {rule_id}.")
    return found


def _save(request: ApiRequest, rule: Rule, said: schemas.RuleChange, flag: int) -> Rule:
    fields = said.model_dump(exclude_unset=True)
    tags, machines = fields.pop("tags", None), fields.pop("machines", None)
    if "matchers" in fields:
        fields["matchers"] = _matchers(fields["matchers"] or "")
    for name, value in fields.items():
        if value is None and name not in EMPTY:
            raise HttpError(422, f"{name}: It cannot be null.")
        setattr(rule, name, value)
    _check(rule)
    with transaction.atomic():
        rule.save()
        if tags is not None:
            rule.tags.set(_tags(tags))
        if machines is not None:
            unseen = rule.machines.exclude(pk__in=visible_to(request.user))
            rule.machines.set([*_machines(request, machines), *unseen])
        names = sorted(said.model_fields_set)
        _log(request, rule, flag, f"By the API: {', '.join(names)}.")
        changed.rules()
    return rule


# Fields of which null says something: there is no such level.
EMPTY = ("warning", "critical", "clear")


def _check(rule: Rule) -> None:
    found = [*validation.faults(rule.spec)]
    found += validation.note_faults(rule.note, rule.runbook_url)
    try:
        rule.full_clean()
    except ValidationError as wrong:
        found += [(name, said[0]) for name, said in wrong.message_dict.items()]
    if found:
        name, sentence = found[0]
        raise HttpError(422, f"{name}: {sentence}")


def _matchers(text: str) -> list[matchers.Row]:
    try:
        return matchers.to_rows(matchers.parse(text))
    except BadMatcher as bad:
        raise HttpError(422, f"matchers: {bad}") from None


def _tags(names: list[str]) -> list[Tag]:
    found = list(Tag.objects.filter(name__in=names))
    _all_known("tags", names, {tag.name for tag in found})
    return found


def _machines(request: ApiRequest, names: list[str]) -> list[Any]:
    found = list(visible_to(request.user).filter(machine_id__in=names))
    _all_known("machines", names, {machine.machine_id for machine in found})
    return found


def _all_known(field: str, names: list[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            raise HttpError(422, f"{field}: There is none named {name!r}.")


def _log(request: ApiRequest, rule: Rule, flag: int, message: str) -> None:
    LogEntry.objects.log_actions(
        request.user.pk, [rule], flag, change_message=message, single_object=True
    )


def _seen(request: ApiRequest) -> set[str]:
    return set(visible_to(request.user).values_list("machine_id", flat=True))


def _told(rule: Rule, seen: set[str]) -> dict[str, Any]:
    machines = (machine.machine_id for machine in rule.machines.all())
    return {
        **{name: getattr(rule, name) for name in SAME},
        "matchers": matchers.written(matchers.from_rows(rule.matchers)),
        "tags": [tag.name for tag in rule.tags.all()],
        "machines": [name for name in machines if name in seen],
    }


# What a rule tells under the names that it has there.
SAME = schemas.Rule.model_fields.keys() - {"matchers", "tags", "machines"}
