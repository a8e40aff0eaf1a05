"""The pages' addresses. A machine's id may hold anything, a slash included."""

from __future__ import annotations

from django.urls import path

from hub.web import account, alert, alert_list, bar, hub, machine, overview, signin

app_name = "web"
urlpatterns = [
    path("", overview.overview, name="overview"),
    path("rows", overview.some_rows, name="rows"),
    path("sparklines.json", overview.sparklines, name="sparklines"),
    path("machines/<path:machine_id>/", machine.machine, name="machine"),
    path("readings/<path:machine_id>", machine.readings, name="readings"),
    path("account/<path:machine_id>", account.show, name="account"),
    path("charts/<path:machine_id>", machine.charts, name="charts"),
    path("open-alerts/<path:machine_id>", machine.open_alerts, name="machine_alerts"),
    path("alerts/", alert_list.alerts, name="alerts"),
    path("alerts/open.json", alert_list.open_now, name="open_now"),
    path("alerts/<int:pk>/", alert.show, name="alert"),
    path("alerts/<int:pk>/acknowledge", alert.acknowledge, name="acknowledge"),
    path("alerts/<int:pk>/take-back", alert.take_back, name="take_back"),
    path("alerts/<int:pk>/silence", alert.silence, name="silence"),
    path("alerts/<int:pk>/lift", alert.lift, name="lift"),
    path("hub/", hub.hub, name="hub"),
    path("hub/now", hub.now, name="hub_now"),
    path("hub/bar", bar.bar, name="hub_bar"),
    path("sign-in/", signin.sign_in, name="sign_in"),
    path("sign-in/link/<str:secret>", signin.sign_in_link, name="sign_in_link"),
    path("sign-out/", signin.sign_out, name="sign_out"),
]
