"""What the program writes by itself is nobody's to change, not even the owner's."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import RequestFactory

from hub.alerts.models import Alert, Blindness, Delivery
from hub.control.models import Standing
from hub.people.models import AuditEntry
from hub.people.owner import owner
from hub.storage.models import Layout, Metric


@pytest.mark.django_db
@pytest.mark.parametrize(
    "model", [Alert, Blindness, Delivery, Standing, AuditEntry, Layout, Metric]
)
def test_the_owner_sees_it_and_changes_nothing(model: type) -> None:
    request = RequestFactory().get("/")
    request.user = owner()

    may = admin.site._registry[model].get_model_perms(request)

    assert may == {"add": False, "change": False, "delete": False, "view": True}
