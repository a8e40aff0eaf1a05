"""The agent's tests; `hub` plays the other side of the wire."""

from __future__ import annotations
