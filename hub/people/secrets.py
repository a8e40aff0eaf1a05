"""Secrets that are shown once and kept only as a digest."""

from __future__ import annotations

import hashlib
import secrets

ENTROPY_BYTES = 32

# Longer than any secret of ours; what is longer is not worth hashing.
MAX_CHARACTERS = 128


def make(prefix: str = "") -> str:
    """Return a new secret that may stand in a header and in an address."""
    return prefix + secrets.token_urlsafe(ENTROPY_BYTES)


def digest(secret: str) -> str:
    """Return what the database keeps of a secret.

    One round of SHA-256 is enough: 256 random bits cannot be guessed, so there
    is nothing for a slow hash to slow down.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def matches(secret: str, expected_digest: str) -> bool:
    """Compare in a time that says nothing about where they differ."""
    return secrets.compare_digest(digest(secret), expected_digest)


def plausible(secret: str, prefix: str = "") -> bool:
    """Tell whether a text that somebody sent can be a secret of ours at all."""
    return (
        len(prefix) < len(secret) <= MAX_CHARACTERS
        and secret.isascii()
        and secret.startswith(prefix)
    )
