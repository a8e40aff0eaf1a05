"""Secrets at rest that must be read again, such as those of second factors.

Sealed with a key of their own that the database never sees: made of SECRET_KEY.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class Sealed(Exception):
    """No key of ours opens it: SECRET_KEY was replaced (permanent)."""


def seal(text: str) -> str:
    return _box().encrypt(text.encode()).decode()


def unseal(token: str) -> str:
    """Return what was sealed. Raises Sealed."""
    try:
        return _box().decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise Sealed("It was sealed with another SECRET_KEY") from error


def _box() -> MultiFernet:
    return _box_of((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=4)
def _box_of(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_key(text)) for text in keys])


def _key(text: str) -> bytes:
    digest = hashlib.sha256(b"sysmonstm.second-factor:" + text.encode()).digest()
    return base64.urlsafe_b64encode(digest)
