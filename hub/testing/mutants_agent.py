"""Faults of the agent: what it measures, and how it leaves."""

from __future__ import annotations

from hub.testing.mutant import Mutant

AGENT = (
    Mutant(
        "agent: a tick that is under way is not due again",
        "agent/sysmonstm_agent/measuring.py",
        "                    self._ticks.begin()\n",
        "",
        "agent/tests/test_measuring.py",
    ),
    Mutant(
        "agent: what is shown is measured apart from what is stored",
        "agent/sysmonstm_agent/agent.py",
        "        return Sampler(self._collectors())\n",
        "        return self._sampler\n",
        "agent/tests/test_agent.py",
    ),
    Mutant(
        "agent: a goodbye is not taken back by hanging up",
        "agent/sysmonstm_agent/stream.py",
        "self._in_flight or says_why or not self._leaving",
        "self._in_flight or not self._leaving",
        "agent/tests/test_goodbye.py",
    ),
    Mutant(
        "agent: a hub that does not know a call is not asked for ever",
        "agent/sysmonstm_agent/companion.py",
        "self._over.is_set() or trouble == UNKNOWN:",
        "self._over.is_set():",
        "agent/tests/test_watch_config.py",
    ),
)
