"""Deliberate faults in who may see what, for how long, and at whose cost."""

from __future__ import annotations

from hub.testing.mutant import Mutant

PEOPLE: tuple[Mutant, ...] = (
    Mutant(
        "people: tags limit what one sees, everywhere",
        "hub/machines/sight.py",
        '    return ~Exists(limits) | Q(pk__in=tagged.values("machine_id"))',
        "    return Q()",
        "hub/tests/test_sight.py",
    ),
    Mutant(
        "people: what one may not see is as what is not there",
        "hub/web/find.py",
        "visible_to(request.user)",
        "Machine.objects.all()",
        "hub/tests/test_policy.py",
    ),
    Mutant(
        "people: a view that does not say for whom is for nobody",
        "hub/people/middleware.py",
        "            raise Http404",
        "            return None",
        "hub/people/tests/test_middleware.py",
    ),
    Mutant(
        "people: a page without a policy is found",
        "hub/web/hub.py",
        "@never_cache\n@viewer\n@require_safe\ndef hub(",
        "@never_cache\n@require_safe\ndef hub(",
        "hub/tests/test_policy.py::test_every_address_says_who_may_use_it",
    ),
    Mutant(
        "people: a call of the wire without a policy is found",
        "hub/rpc/authenticate.py",
        '    "/sysmonstm.v1.ConfigService/ReportConfig": Policy.AGENT,\n',
        "",
        "hub/tests/test_policy.py::test_every_method_of_the_wire_says_who_may_call_it",
    ),
    Mutant(
        "people: another kind of message to a socket is found",
        "hub/live/consumer.py",
        "    def _credential(self) -> Credential | None:",
        "    async def live_told(self, message: Any) -> None: ...\n\n"
        "    def _credential(self) -> Credential | None:",
        "hub/tests/test_policy.py::test_a_socket_takes_no_message_of_another_kind",
    ),
    Mutant(
        "people: who may come in no longer is out",
        "hub/live/feed.py",
        "            if permit is None:",
        "            if False:",
        "hub/live/tests/test_door.py",
    ),
    Mutant(
        "people: another password ends what the old one opened",
        "hub/live/permits.py",
        "    return user if any(constant_time_compare(kept, one) for one in valid) "
        "else None",
        "    return user",
        "hub/live/tests/test_door.py",
    ),
    Mutant(
        "people: an address has so many sockets",
        "hub/live/fanout.py",
        "(watcher.address and self._of_address.is_full(watcher.address))",
        "False",
        "hub/live/tests/test_fanout.py",
    ),
    Mutant(
        "people: a command names whom agents will meet",
        "hub/health/trust.py",
        "        if theirs != ours:",
        "        if False:",
        "hub/health/tests/test_trust.py",
    ),
    Mutant(
        "people: an agent's answers cost what was asked",
        "hub/control/line.py",
        "            if self._stray > MAX_STRAY:",
        "            if False:",
        "hub/control/tests/test_ask.py",
    ),
    Mutant(
        "people: an agent that comes and goes waits",
        "hub/rpc/calls.py",
        "        return allowance.allow()",
        "        return True",
        "hub/rpc/tests/test_calls.py",
    ),
)
