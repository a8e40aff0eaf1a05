"""What the agent proves itself with, and what it does when that is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from sysmonstm_agent import credential
from sysmonstm_agent.channel import Metadata, bearer
from sysmonstm_agent.config import Config
from sysmonstm_agent.credential import Credential, CredentialRefused
from sysmonstm_agent.log import log


class Identity:
    """The token of a variable, or the credential on disk, which may change.

    A rotation that was interrupted leaves two secrets, of which the hub takes one
    or both: the one is tried, then the other, and the one that was taken stays.
    """

    def __init__(
        self, config: Config, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = config.state_dir
        self._token = config.token
        self._kept = config.credential
        self._clock = clock
        # Whether `next` is what is shown now.
        self._second = False

    @property
    def kept(self) -> Credential | None:
        return self._kept

    @property
    def secret(self) -> str:
        if self._kept is None:
            return self._token
        return self._kept.next if self._second else self._kept.secret

    def metadata(self) -> Metadata:
        return bearer(self.secret)

    def accepted(self, shown: str) -> None:
        """The hub took this secret."""
        if self._kept and shown and shown == self._kept.next:
            try:
                self.promote()
            # In memory it is promoted, and the disk has both.
            except (OSError, CredentialRefused) as error:
                log.warning("credential.not_kept", trouble=str(error))

    def refused(self, shown: str) -> bool:
        """The hub did not take it. Return whether there is another one to try."""
        if self._kept is None:
            return False
        if shown != self.secret:
            # A call from before a rotation.
            return True
        if self._enrolled_again():
            return True
        if self._kept.next:
            self._second = not self._second
            return self._second
        return False

    def keep_next(self) -> str:
        """Keep a new secret beside the one in use, and return it.

        One that is kept already is taken again: the hub may have it. Raises
        OSError, CredentialRefused.
        """
        kept = self._kept
        assert kept is not None
        if kept.next:
            return kept.next
        if self._on_disk() != kept:
            # `enrol` or `uninstall` has been here: it is not ours to write over.
            raise CredentialRefused("the credential on disk is another one by now.")
        new = replace(kept, next=credential.new_secret())
        credential.store(self._folder, new)
        self._kept = new
        return new.next

    def promote(self, certificate: str = "") -> None:
        """The hub knows the new secret: it is the one from now on."""
        kept = self._kept
        assert kept is not None
        new = replace(
            kept,
            secret=kept.next,
            next="",
            made=self._clock(),
            certificate=certificate or kept.certificate,
        )
        self._second = False
        # In memory even where the disk takes nothing: it has both.
        self._kept = new
        credential.store(self._folder, new)

    def _enrolled_again(self) -> bool:
        """Take what `enrol` has put on disk meanwhile, for the same machine."""
        try:
            found = self._on_disk()
        except CredentialRefused as refused:
            log.warning("credential.unreadable", trouble=str(refused))
            return False
        kept = self._kept
        if not found or not kept or found.secret in (kept.secret, kept.next):
            return False
        if lasting(found) != lasting(kept):
            log.warning("credential.other", todo="Restart the agent to take it up.")
            return False
        self._kept, self._second = found, False
        return True

    def _on_disk(self) -> Credential | None:
        return credential.load(self._folder)


def lasting(kept: Credential) -> tuple[str, ...]:
    """Return what cannot change under a running agent."""
    return kept.hub, kept.machine_id, kept.ca, kept.certificate
