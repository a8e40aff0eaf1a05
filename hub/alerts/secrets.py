"""Secrets of contacts at rest: sealed with a key that the database never sees.

`NOTIFY_KEY` may hold several keys, parted by commas: the first one seals, all of
them open, so that a key can be replaced without losing a contact.
"""

from __future__ import annotations

import base64
import hashlib
import os
from functools import lru_cache
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

KEY_FILE = "notify_key"


class Sealed(Exception):
    """A secret that no key of ours opens: the key was lost or replaced."""


def seal(text: str) -> str:
    return _box().encrypt(text.encode()).decode() if text else ""


def unseal(token: str) -> str:
    """Return the secret. Raises Sealed."""
    if not token:
        return ""
    try:
        return _box().decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise Sealed(
            "The secret was sealed with another key: set NOTIFY_KEY to the key of "
            "that time, or type the address again."
        ) from error


def _box() -> MultiFernet:
    return _box_of(settings.NOTIFY_KEY or _kept(settings.DATA_DIR / KEY_FILE))


@lru_cache(maxsize=4)
def _box_of(keys: str) -> MultiFernet:
    parts = [part.strip() for part in keys.split(",") if part.strip()]
    return MultiFernet([Fernet(_key(part)) for part in parts])


def _key(text: str) -> bytes:
    """Accept a Fernet key as it is, and make one of any other long text."""
    try:
        if len(base64.urlsafe_b64decode(text)) == 32:
            return text.encode()
    except ValueError:
        pass
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())


def _kept(path: Path) -> str:
    """Return the key beside the database, made at its first use."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}-{os.getpid()}-{os.urandom(4).hex()}")
    if not path.exists():
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        try:
            # Of two processes that start together, one makes the key of both.
            os.link(made, path)
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return path.read_text().strip()
