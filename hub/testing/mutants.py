"""One deliberate fault for each invariant; a test that lets it pass is decoration.

    python -m hub.testing.mutants [NAME …]

Each fault is one changed piece of text, in a copy of the tree. The tests that must
notice are run on the copy first as it is, and must pass.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.testing.mutant import Mutant
from hub.testing.mutants_agent import AGENT
from hub.testing.mutants_identity import IDENTITY
from hub.testing.mutants_storage import STORAGE
from hub.testing.progress import say

ROOT = Path(__file__).resolve().parents[2]

TEST_S = 400
# pytest's words for "some tests failed"; anything else is no verdict.
FAILED = 1


MUTANTS = (
    Mutant(
        "nothing is acknowledged before COMMIT",
        "hub/ingest/writer.py",
        "        try:\n            outcome = await self._stored(",
        "        for chunk in chunks:\n            chunk.acks.commit(chunk.up_to)\n"
        "        try:\n            outcome = await self._stored(",
        "hub/ingest/tests/test_writer.py",
    ),
    Mutant(
        "a repeat is recognised by the cursor",
        "hub/storage/settle.py",
        "        if hole < 0:",
        "        if False:",
        "hub/storage/tests/test_settle.py",
    ),
    Mutant(
        "the cursor moves in the transaction of the rows",
        "hub/storage/raw.py",
        "        _move(database, settlement.moves, positions)",
        "    _move(database, settlement.moves, positions)",
        "hub/rpc/tests/test_invariants.py",
    ),
    Mutant(
        "a spool's numbers mean nothing in another spool",
        "hub/storage/settle.py",
        "    elif position[0] == epoch:",
        "    elif True:",
        "hub/storage/tests/test_raw.py",
    ),
    Mutant(
        "a hole in the numbers is counted, not passed over",
        "hub/storage/settle.py",
        "        move.skipped += hole",
        "        move.skipped += 0",
        "hub/storage/tests/test_settle.py",
    ),
    Mutant(
        "a sample of the past marks its minute",
        "hub/storage/raw.py",
        "                if behind:",
        "                if False:",
        "hub/storage/tests/test_rollup.py",
    ),
    Mutant(
        "the queue has a bound",
        "hub/ingest/writer.py",
        "        return self.stats.waiting >= self._queue_limit",
        "        return False",
        "hub/ingest/tests/test_writer.py",
    ),
    Mutant(
        "the time of a sample has bounds",
        "hub/ingest/decode.py",
        "        elif not earliest <= time_ms <= latest:",
        "        elif False:",
        "hub/ingest/tests/test_decode.py",
    ),
    Mutant(
        "numbers only grow within a stream",
        "hub/ingest/decode.py",
        "        if not last < sequence <= MAX_SEQUENCE:",
        "        if not 0 < sequence <= MAX_SEQUENCE:",
        "hub/ingest/tests/test_decode.py",
    ),
    Mutant(
        "a vector is as long as its layout",
        "hub/ingest/decode.py",
        "        elif len(values) != layout.size_bytes:",
        "        elif False:",
        "hub/ingest/tests/test_decode.py",
    ),
    Mutant(
        "what a machine says cannot break a line or a page",
        "hub/ingest/text.py",
        "    if not (text.isascii() and text.isprintable()):",
        "    if False:",
        "hub/tests/test_fuzz.py",
    ),
    Mutant(
        "a sample that is only shown is not stored",
        "hub/ingest/servicer.py",
        '            elif kind == "live":\n',
        '            elif kind == "live":\n'
        "                shown = _live(request.live, source, known)\n"
        "                writer.offer(Chunk(acks, source, shown, last, []))\n",
        "hub/rpc/tests/test_invariants.py",
    ),
    Mutant(
        "the newest stream of a machine ends the one before",
        "hub/ingest/streams.py",
        "        if old is not None and old is not stream:",
        "        if False:",
        "hub/rpc/tests/test_stream.py::test_the_newest_stream_of_a_machine_wins",
    ),
    Mutant(
        "an agent without the token is not heard",
        "hub/rpc/authenticate.py",
        "    return bool(wanted) and hmac.compare_digest("
        "secret.encode(), wanted.encode())",
        "    return True",
        "hub/rpc/tests/test_authenticate.py"
        "::test_an_agent_needs_the_token_or_to_be_local_without_one",
    ),
    *IDENTITY,
    *AGENT,
    *STORAGE,
    Mutant(
        "samples belong to the machine of the credential",
        "hub/ingest/caller.py",
        "        return self.machine_id or named",
        "        return named",
        "hub/rpc/tests/test_invariants.py",
    ),
    Mutant(
        "a socket is opened by our own pages only",
        "hub/live/origin.py",
        "    return origin is not None and origin in _ours(scope)",
        "    return True",
        "hub/live/tests/test_origin.py",
    ),
    Mutant(
        "a token that has expired opens nothing",
        "hub/people/tokens.py",
        "token.expires_at and token.expires_at <= now",
        "token.expires_at and False",
        "hub/people/tests/test_tokens.py",
    ),
    Mutant(
        "a sample is in the spool before it is sent",
        "agent/sysmonstm_agent/disk_spool.py",
        "            trouble = self._keep(spooled)\n",
        '            trouble = ""\n',
        "agent/tests/test_disk_spool.py",
    ),
    Mutant(
        "a commit of the spool is on the disk",
        "agent/sysmonstm_agent/spool_database.py",
        '    "synchronous = FULL",',
        '    "synchronous = OFF",',
        "agent/tests/test_disk_spool.py",
    ),
    Mutant(
        "the spool forgets only what is acknowledged",
        "agent/sysmonstm_agent/stream.py",
        "        self._sent = batch[-1].sequence\n",
        "        self._sent = batch[-1].sequence\n"
        "        self._spool.forget(self._sent)\n",
        "agent/tests/test_stream.py",
    ),
    Mutant(
        "an agent sends no more than the window",
        "agent/sysmonstm_agent/stream.py",
        "        room = min(self._window - len(self._in_flight), BATCH_SAMPLES)",
        "        room = BATCH_SAMPLES",
        "agent/tests/test_stream.py",
    ),
    Mutant(
        "numbers that the hub has from elsewhere begin a new epoch",
        "agent/sysmonstm_agent/stream.py",
        "        if cursor > known:",
        "        if False:",
        "agent/tests/test_live.py agent/tests/test_stream.py",
    ),
    Mutant(
        "an agent keeps its next secret before it asks for it",
        "agent/sysmonstm_agent/identity.py",
        "        credential.store(self._folder, new)\n"
        "        self._kept = new\n"
        "        return new.next\n",
        "        self._kept = new\n        return new.next\n",
        "agent/tests/test_identity.py",
    ),
    Mutant(
        "an agent speaks no plain text to another machine",
        "agent/sysmonstm_agent/hub_address.py",
        "not (plaintext or is_loopback(target))",
        "False",
        "agent/tests/test_config.py agent/tests/test_identity.py",
    ),
    Mutant(
        "a machine is enrolled at the hub whose fingerprint was given",
        "agent/sysmonstm_agent/trust.py",
        "    if found != normal(fingerprint):",
        "    if False:",
        "agent/tests/test_enrol.py",
    ),
    Mutant(
        "a credential is shown to no other hub",
        "agent/sysmonstm_agent/hub_address.py",
        "ours=same or pinned",
        "ours=True",
        "agent/tests/test_credential.py",
    ),
    Mutant(
        "only an administrator lets machines in",
        "hub/web/add_machine.py",
        "from hub.people.policy import administrator",
        "from hub.people.policy import operator as administrator",
        "hub/web/tests/test_add_machine.py",
    ),
    Mutant(
        "a new machine installs what the page promised",
        "hub/web/install/requirements.py",
        "{wheel.sha256}",
        '{"0" * 64}',
        "hub/web/tests/test_install.py",
    ),
    Mutant(
        "the hub hands out wheels and no other file",
        "hub/web/install/stock.py",
        " and not path.is_symlink()",
        "",
        "hub/web/tests/test_install.py",
    ),
    Mutant(
        "the judge sees what is missing",
        "hub/testing/oracle/judge.py",
        "        and not stored.marks[machine, Mark(lane, tick)]\n    ]",
        "        and False\n    ]",
        "hub/tests/test_oracle.py",
    ),
)


@dataclass(frozen=True, slots=True)
class Result:
    mutant: Mutant
    caught: bool
    took_s: float
    # Why there is no verdict; "" = there is one.
    trouble: str = ""


def copy_tree(to: Path) -> Path:
    """Copy what git knows or would take; the services are shared."""
    named = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, named.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    if (ROOT / ".services").exists():
        (to / ".services").symlink_to(ROOT / ".services")
    return to


def try_mutant(mutant: Mutant, tree: Path) -> Result:
    """Change the tree, run the tests that must notice, change it back."""
    began_s = time.monotonic()
    path = tree / mutant.file
    whole = path.read_text()
    if whole.count(mutant.old) != 1:
        count = whole.count(mutant.old)
        return Result(mutant, False, 0, f"its text is there {count} times, not once")
    path.write_text(whole.replace(mutant.old, mutant.new))
    try:
        code, said = run_tests(mutant, tree)
    finally:
        path.write_text(whole)
    took_s = time.monotonic() - began_s
    # A mutant that does not even load is caught by every test and proves nothing.
    if code not in (0, FAILED) or "Error while loading" in said:
        return Result(mutant, False, took_s, f"pytest ended with {code}:\n{said}")
    return Result(mutant, code == FAILED, took_s)


def run_tests(mutant: Mutant, tree: Path) -> tuple[int, str]:
    """Return pytest's exit code and its last words."""
    tests = [
        name for name in mutant.test.split() if (tree / name.split("::")[0]).exists()
    ]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"),
            *("-m", "not process and not browser", "--services", mutant.services),
            *tests,
        ],
        cwd=tree,
        env=_environment(tree),
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TEST_S,
    )
    return done.returncode, done.stdout[-3000:]


def _environment(tree: Path) -> dict[str, str]:
    # Before the installed packages, which lead back to the checkout.
    places = (tree, tree / "agent", tree / "proto")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, places)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def without_fault(mutant: Mutant, tree: Path) -> str:
    """Run its tests on the tree as it is; return what goes wrong already."""
    # Twice: a test that is in a hurry may fail on a machine that is.
    for _ in range(2):
        code, said = run_tests(mutant, tree)
        if code == 0:
            return ""
    return said


def table(results: Sequence[Result]) -> Iterable[str]:
    yield f"{'fault of':<62}{'caught':>8}{'s':>6}"
    for result in results:
        verdict = "yes" if result.caught else "NO"
        yield f"{result.mutant.invariant:<62}{verdict:>8}{result.took_s:>6.1f}"
    for result in results:
        if result.trouble:
            yield f"NO VERDICT: {result.mutant.invariant}: {result.trouble}"
    caught = sum(result.caught for result in results)
    yield f"{caught} of {len(results)} caught"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hub.testing.mutants")
    parser.add_argument("words", nargs="*", help="only those whose invariant has one")
    words = parser.parse_args().words
    chosen = [
        mutant
        for mutant in MUTANTS
        if not words or any(word in mutant.invariant for word in words)
    ]
    with tempfile.TemporaryDirectory(prefix="mutants-", dir="/tmp") as folder:
        tree = copy_tree(Path(folder))
        sound: dict[str, str] = {}
        results = []
        for mutant in chosen:
            say(f"{mutant.invariant} …")
            if mutant.test not in sound:
                sound[mutant.test] = without_fault(mutant, tree)
            if said := sound[mutant.test]:
                trouble = f"its tests fail without a fault already:\n{said}"
                results.append(Result(mutant, False, 0, trouble))
            else:
                results.append(try_mutant(mutant, tree))
    for line in table(results):
        say(line)
    return 0 if all(result.caught for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
