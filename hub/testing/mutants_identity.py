"""Deliberate faults in who may speak, and for whom."""

from __future__ import annotations

from hub.testing.mutant import Mutant
from hub.testing.mutants_people import PEOPLE

IDENTITY: tuple[Mutant, ...] = (
    Mutant(
        "identity: a token for one makes one agent",
        "hub/machines/enrolment.py",
        "EnrolmentToken.objects.select_for_update().filter(pk=token_pk)",
        "EnrolmentToken.objects.filter(pk=token_pk)",
        "hub/machines/tests/test_enrolment.py",
        "production",
    ),
    Mutant(
        "identity: a token that is over opens nothing",
        "hub/machines/models.py",
        "self.uses_left > 0 and now < self.expires_at",
        "self.uses_left > 0",
        "hub/machines/tests/test_enrolment.py",
    ),
    Mutant(
        "identity: a replaced secret ends after its time",
        "hub/machines/credentials.py",
        "        if before.holds(now):",
        "        if True:",
        "hub/machines/tests/test_credentials.py",
    ),
    Mutant(
        "identity: a replaced secret does not take the credential over",
        "hub/machines/credentials.py",
        'if by not in ("", one.digest) or Credential',
        "if Credential",
        "hub/rpc/tests/test_enrolment.py::test_what_a_rotation_may_not_do",
    ),
    Mutant(
        "identity: who has a credential is spoken for with it alone",
        "hub/machines/registry.py",
        "    elif not _is_known_unproved(hello.machine_id)",
        "    elif False",
        "hub/rpc/tests/test_enrolment.py hub/rpc/tests/test_revocation.py",
    ),
    Mutant(
        "identity: two agents with one credential are noticed",
        "hub/machines/clones.py",
        "    if len(recent) - len(kinds) <= RETURNS:",
        "    if True:",
        "hub/machines/tests/test_clones.py",
    ),
    Mutant(
        "identity: who is revoked is cut, told by the bus or not",
        "hub/rpc/roster.py",
        "            if tide != self._tide:",
        "            if self._tide is None:",
        "hub/rpc/tests/test_revocation.py",
    ),
    Mutant(
        "identity: an answer that a revocation overtook lets nobody in",
        "hub/rpc/roster.py",
        "            if review == self._reviews:",
        "            if True:",
        "hub/rpc/tests/test_roster.py",
    ),
    Mutant(
        "identity: being local is no credential behind a proxy",
        "hub/rpc/authenticate.py",
        "        and not settings.BEHIND_TLS\n        and not asked.forwarded\n",
        "",
        "hub/rpc/tests/test_authenticate.py",
    ),
    Mutant(
        "identity: a client certificate belongs to its credential",
        "hub/machines/authority.py",
        "return _identity(machine_id, credential) in certificates.uris_of(found)",
        "return bool(certificates.uris_of(found))",
        "hub/rpc/tests/test_tls.py",
    ),
    Mutant(
        "identity: a new certificate is shown without a restart",
        "hub/rpc/tls.py",
        "        if found == self._shown:",
        "        if True:",
        "hub/rpc/tests/test_tls.py",
    ),
    Mutant(
        "identity: failures are counted",
        "hub/rpc/authenticate.py",
        "        if not await self._counting.call(failed):",
        "        if False:",
        "hub/rpc/tests/test_limits.py",
    ),
    Mutant(
        "identity: an agent has so many streams",
        "hub/rpc/calls.py",
        "        if self._counts[call.key] >= call.limit:",
        "        if False:",
        "hub/rpc/tests/test_limits.py",
    ),
    Mutant(
        "identity: an agent sends so much",
        "hub/ingest/servicer.py",
        "                ration.samples(request, len(batch))\n",
        "",
        "hub/rpc/tests/test_limits.py",
    ),
    Mutant(
        "identity: the shared token makes so many machines",
        "hub/machines/newcomers.py",
        '    if not _fits("newcomer", "", limit):',
        "    if False:",
        "hub/rpc/tests/test_limits.py",
    ),
    Mutant(
        "rpc: connections leave a process its files",
        "hub/rpc/server.py",
        "options=[*OPTIONS, crowd]",
        "options=OPTIONS",
        "hub/rpc/tests/test_reset.py",
    ),
    *PEOPLE,
)
