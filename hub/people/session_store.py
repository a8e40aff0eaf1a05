"""Sessions in the database, under a digest of their keys.

The key is what a browser's cookie holds: whoever finds a backup must not find keys that
let them in. Django's own keeps them as they are.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session
from django.utils import timezone

# As long as the column; 160 bits of a digest are enough.
KEPT_CHARACTERS = 40


def kept(session_key: str) -> str:
    """Return what the database has in place of a key."""
    return hashlib.sha256(session_key.encode()).hexdigest()[:KEPT_CHARACTERS]


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> Session | None:
        found: Session | None = self._rows().first()
        if found is None:
            self._session_key = None
        return found

    async def _aget_session_from_db(self) -> Session | None:
        found: Session | None = await self._rows().afirst()
        if found is None:
            self._session_key = None
        return found

    def exists(self, session_key: str) -> bool:
        return super().exists(kept(session_key))

    async def aexists(self, session_key: str) -> bool:
        return bool(await super().aexists(kept(session_key)))

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        made = super().create_model_instance(data)
        made.session_key = kept(made.session_key)
        return made

    async def acreate_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        made = await super().acreate_model_instance(data)
        made.session_key = kept(made.session_key)
        return made

    def delete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            super().delete(kept(key))

    async def adelete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            await super().adelete(kept(key))

    def _rows(self) -> Any:
        return self.model.objects.filter(
            session_key=kept(self.session_key or ""), expire_date__gt=timezone.now()
        )
