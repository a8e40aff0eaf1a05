"""Alerts for programs: what is open, what was, and an answer to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ninja import Query, Router
from ninja.errors import HttpError

from hub.alerts import answers, chapters, history
from hub.alerts.culprit import lines
from hub.alerts.history import BadKey, Filter
from hub.alerts.models import Alert
from hub.alerts.muting import Muting
from hub.alerts.told import Told, ledger
from hub.api import alert_schemas as schemas
from hub.api.auth import ApiRequest
from hub.api.schemas import Error
from hub.people.policy import operator, viewer

REFUSALS = frozenset({401, 422, 500, 503})
OF_ONE = REFUSALS | {404}
WRITES = OF_ONE | {400, 403, 409}

router = Router(tags=["alerts"])


@router.get(
    "/alerts",
    response={200: schemas.Alerts, REFUSALS: Error},
    summary="Open alerts, and all that ever were",
)
@viewer
def list_alerts(
    request: ApiRequest, asked: Query[schemas.AlertQuery]
) -> dict[str, Any]:
    """Newest first, page by page."""
    wanted = Filter(asked.state, asked.severity, asked.machine, asked.rule, asked.q)
    try:
        found = history.page(request.user, wanted, after=asked.after, size=asked.limit)
    except BadKey as bad:
        raise HttpError(422, f"after: {bad}.") from None
    muting = Muting()
    return {
        "alerts": [_told(alert, muting) for alert in found.alerts],
        "after": found.after,
    }


@router.get(
    "/alerts/{int:alert_id}",
    response={200: schemas.FullAlert, OF_ONE: Error},
    summary="One alert, with all that is known of it",
)
@viewer
def get_alert(request: ApiRequest, alert_id: int) -> dict[str, Any]:
    """With the samples around its opening, and who was told."""
    return _full(_find(request, alert_id))


@router.post(
    "/alerts/{int:alert_id}/acknowledge",
    response={200: schemas.FullAlert, WRITES: Error},
    summary="Say that you look after an alert",
)
@operator
def acknowledge(
    request: ApiRequest, alert_id: int, said: schemas.Acknowledgement
) -> dict[str, Any]:
    """Nobody is reminded of it any more. Needs the scope operate."""
    alert = _open(request, alert_id)
    answers.acknowledge(alert, by=request.user, note=said.note.strip())
    return _full(_find(request, alert_id))


@router.delete(
    "/alerts/{int:alert_id}/acknowledge",
    response={200: schemas.FullAlert, WRITES: Error},
    summary="Take an acknowledgement back",
)
@operator
def take_back(request: ApiRequest, alert_id: int) -> dict[str, Any]:
    """As if nobody had. Needs the scope operate."""
    answers.take_back(_open(request, alert_id), by=request.user)
    return _full(_find(request, alert_id))


@router.post(
    "/alerts/{int:alert_id}/silence",
    response={200: schemas.FullAlert, WRITES: Error},
    summary="Tell nobody of an alert for a time",
)
@operator
def silence(
    request: ApiRequest, alert_id: int, asked: schemas.SilenceRequest
) -> dict[str, Any]:
    """Of this rule and this series of the machine. Needs the scope operate."""
    alert = _open(request, alert_id)
    length = None if asked.seconds is None else timedelta(seconds=asked.seconds)
    answers.silence(alert, by=request.user, length=length)
    return _full(_find(request, alert_id))


@router.delete(
    "/alerts/{int:alert_id}/silence",
    response={200: schemas.FullAlert, WRITES: Error},
    summary="End the silences made for an alert",
)
@operator
def lift(request: ApiRequest, alert_id: int) -> dict[str, Any]:
    """Those of this alert's own series. Needs the scope operate."""
    answers.lift(_open(request, alert_id), by=request.user)
    return _full(_find(request, alert_id))


def _find(request: ApiRequest, alert_id: int) -> Alert:
    alerts = history.visible(request.user).defer(None)
    found = alerts.filter(pk=alert_id).first() if alert_id < 2**63 else None
    if found is None:
        raise HttpError(404, f"There is no alert {alert_id}.")
    return found


def _open(request: ApiRequest, alert_id: int) -> Alert:
    found = _find(request, alert_id)
    if not found.is_open:
        raise HttpError(409, "This alert is over: there is nothing to answer.")
    return found


def _full(alert: Alert) -> dict[str, Any]:
    return {
        **_told(alert, Muting()),
        "snapshot": alert.snapshot,
        "samples": alert.samples,
        "told": [_notice(one) for one in ledger(alert)],
        "processes": lines(alert),
        "story": [
            {"at": one.at, "what": one.what, "by": one.by_name, "said": one.said}
            for one in chapters.of(alert)
        ],
    }


def _told(alert: Alert, muting: Muting) -> dict[str, Any]:
    by = alert.acknowledged_by
    return {
        **{name: getattr(alert, name) for name in SAME},
        "rule": alert.rule_id,
        "machine": alert.machine.machine_id if alert.machine else None,
        "acknowledged_by": by.get_username() if by else None,
        "muted": (muting.why(alert) or "") if alert.is_open else "",
    }


def _notice(told: Told) -> dict[str, Any]:
    return {
        "contact": told.contact,
        "channel": told.channel,
        "why": told.why,
        "state": told.state,
        "tries": [
            {
                "at": one.at,
                "result": one.result,
                "said": one.said,
                "next_try_at": one.next_try_at,
            }
            for one in told.tries
        ],
    }


# What an alert tells under the names that it has there.
SAME = schemas.Alert.model_fields.keys() - {
    "rule",
    "machine",
    "acknowledged_by",
    "muted",
}
