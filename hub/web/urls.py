"""The pages' addresses. A machine's id may hold anything, a slash included."""

from __future__ import annotations

from django.urls import include, path

from hub.web import (
    account,
    add_machine,
    agent,
    alert,
    alert_list,
    bar,
    credential,
    hub,
    machine,
    overview,
    processes,
    signin,
    you,
)

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
    path("processes/<path:machine_id>/", processes.page, name="processes"),
    path("processes-now/<path:machine_id>", processes.now, name="processes_now"),
    path("agent/<path:machine_id>/", agent.page, name="agent"),
    path("agent-standing/<path:machine_id>", agent.standing, name="agent_standing"),
    path("settle/<path:machine_id>", agent.settle, name="settle"),
    path(
        "bring-back/<int:number>/<path:machine_id>", agent.bring_back, name="bring_back"
    ),
    path("ask/<slug:kind>/<path:machine_id>", agent.ask, name="ask"),
    path("alerts/", alert_list.alerts, name="alerts"),
    path("alerts/open.json", alert_list.open_now, name="open_now"),
    path("alerts/<int:pk>/", alert.show, name="alert"),
    path("alerts/<int:pk>/acknowledge", alert.acknowledge, name="acknowledge"),
    path("alerts/<int:pk>/take-back", alert.take_back, name="take_back"),
    path("alerts/<int:pk>/silence", alert.silence, name="silence"),
    path("alerts/<int:pk>/lift", alert.lift, name="lift"),
    path("add-machine/", add_machine.add_machine, name="add_machine"),
    path("add-machine/<int:pk>/arrived", add_machine.arrived, name="arrived"),
    path("add-machine/<int:pk>/revoke", add_machine.revoke, name="revoke_token"),
    path("revoke-agent/<path:machine_id>", credential.revoke, name="revoke_agent"),
    path("install/", include("hub.web.install.urls")),
    path("hub/", hub.hub, name="hub"),
    path("hub/now", hub.now, name="hub_now"),
    path("hub/try-again", hub.try_again, name="try_again"),
    path("hub/bar", bar.bar, name="hub_bar"),
    path("sign-in/", signin.sign_in, name="sign_in"),
    path("sign-in/code", signin.code, name="sign_in_code"),
    path("sign-in/set-up", signin.set_up, name="sign_in_set_up"),
    path("sign-in/link/<str:secret>", signin.sign_in_link, name="sign_in_link"),
    path("sign-out/", signin.sign_out, name="sign_out"),
    path("you/", you.you, name="you"),
    path("you/password", you.password, name="you_password"),
    path("you/second-factor", you.second_factor, name="you_second_factor"),
    path("you/second-factor/off", you.second_factor_off, name="you_second_factor_off"),
    path("you/recovery-codes", you.recovery_codes, name="you_recovery_codes"),
    path("you/tokens", you.make_token, name="you_make_token"),
    path("you/tokens/<int:pk>/revoke", you.revoke_token, name="you_revoke_token"),
    path("you/sessions/end", you.end_sessions, name="you_end_sessions"),
]
